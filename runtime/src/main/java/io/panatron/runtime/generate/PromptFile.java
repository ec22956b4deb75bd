package io.panatron.runtime.generate;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import io.panatron.runtime.data.Message;
import io.panatron.runtime.data.Row;
import io.panatron.runtime.data.agent.AgentException;
import io.panatron.runtime.data.agent.Tool;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads conversations that wait for an answer. */
public final class PromptFile {
  private static final String BYTE_ORDER_MARK = "\ufeff";
  private static final Set<String> ROLES =
      Set.of("system", "user", "assistant", "tool_call", "tool", "tool_response");

  private PromptFile() {}

  /**
   * Reads a {@code .jsonl} file of {@code messages} or {@code query}, as data sets hold them, or
   * any other file as one prompt per line. The last answer of a conversation is left out, its calls
   * of tools included; blank lines are skipped.
   *
   * @param system put in front of conversations that have no system message
   * @throws UserError naming file, line and mistake
   */
  public static List<Row> read(Path file, @Nullable String system) {
    List<Row> conversations = new ArrayList<>();
    List<String> lines = lines(file);
    boolean json = file.toString().endsWith(".jsonl");
    ObjectMapper mapper = new ObjectMapper();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      if (line.isBlank()) {
        continue;
      }
      String where = file + ":" + (i + 1);
      JsonNode row = json ? parsed(mapper, line, where) : mapper.missingNode();
      List<Message> conversation =
          json ? conversation(row, where) : new ArrayList<>(List.of(new Message("user", line)));
      if (system != null && !conversation.getFirst().role().equals("system")) {
        conversation.addFirst(new Message("system", system));
      }
      conversations.add(new Row(conversation, tools(row.path("tools"), where)));
    }
    if (conversations.isEmpty()) {
      throw new UserError("--prompt_file %s holds no prompt.".formatted(file));
    }
    return conversations;
  }

  private static List<String> lines(Path file) {
    try {
      List<String> lines = new ArrayList<>(Files.readAllLines(file));
      if (!lines.isEmpty() && lines.getFirst().startsWith(BYTE_ORDER_MARK)) {
        lines.set(0, lines.getFirst().substring(1));
      }
      return lines;
    } catch (CharacterCodingException e) {
      throw new UserError("--prompt_file %s is not UTF-8 text; convert it.".formatted(file), e);
    } catch (IOException e) {
      throw new UserError(
          "--prompt_file %s cannot be read (%s); check the path and its rights."
              .formatted(file, e.getClass().getSimpleName()),
          e);
    }
  }

  private static JsonNode parsed(ObjectMapper mapper, String line, String where) {
    try {
      return mapper.readTree(line);
    } catch (JsonProcessingException e) {
      throw new UserError(
          "%s is not valid JSON: %s."
              .formatted(where, e.getOriginalMessage().lines().findFirst().orElse("")),
          e);
    }
  }

  private static List<Tool> tools(JsonNode column, String where) {
    try {
      return column.isNull() ? List.of() : Tool.list(column);
    } catch (AgentException e) {
      throw new UserError("%s has in 'tools' %s.".formatted(where, e.getMessage()), e);
    }
  }

  private static List<Message> conversation(JsonNode row, String where) {
    List<Message> messages = row.has("messages") ? messages(row, where) : turns(row, where);
    while (!messages.isEmpty() && messages.getLast().isAnswer()) {
      messages.removeLast();
    }
    if (messages.isEmpty() || messages.getLast().role().equals("system")) {
      throw new UserError(
          ("%s has no question; a row looks like {\"messages\": [{\"role\": \"user\", \"content\":"
                  + " \"...\"}]} or {\"query\": \"...\"}.")
              .formatted(where));
    }
    return messages;
  }

  private static List<Message> messages(JsonNode row, String where) {
    List<Message> messages = new ArrayList<>();
    for (JsonNode message : row.path("messages")) {
      String role = message.path("role").asText();
      if (!ROLES.contains(role) || !message.path("content").isTextual()) {
        throw new UserError(
            "%s has a message %d without a role (system, user, assistant, tool_call, tool) or a content text."
                .formatted(where, messages.size() + 1));
      }
      messages.add(
          new Message(
              role.equals("tool_response") ? "tool" : role, message.path("content").textValue()));
    }
    return messages;
  }

  /** {@code query}, with {@code system} and {@code history}, as rows of data sets have them. */
  private static List<Message> turns(JsonNode row, String where) {
    List<Message> messages = new ArrayList<>();
    if (!row.path("system").isMissingNode() && !row.path("system").isNull()) {
      messages.add(new Message("system", text(row.path("system"), "system", where)));
    }
    for (JsonNode turn : row.path("history")) {
      messages.add(new Message("user", text(turn.path(0), "history", where)));
      messages.add(new Message("assistant", text(turn.path(1), "history", where)));
    }
    if (row.has("query")) {
      messages.add(new Message("user", text(row.path("query"), "query", where)));
    } else {
      messages.clear();
    }
    return messages;
  }

  private static String text(JsonNode node, String column, String where) {
    if (!node.isTextual()) {
      throw new UserError(
          "%s has a column '%s' that holds something other than text.".formatted(where, column));
    }
    return node.textValue();
  }
}
