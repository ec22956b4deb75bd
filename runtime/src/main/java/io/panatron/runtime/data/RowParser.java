package io.panatron.runtime.data;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.data.ColumnNames.Column;
import io.panatron.runtime.data.ColumnNames.Columns;
import io.panatron.runtime.data.source.BadRow;
import io.panatron.runtime.data.source.RowJson;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Makes a conversation of a row's columns: {@code messages}, Alpaca's {@code instruction}, {@code
 * input} and {@code output}, or {@code query}, {@code response} and {@code history}. Columns that
 * are not needed are ignored; of a column given twice the last counts, as in Python. Safe for use
 * by several threads.
 *
 * <p>Source: Megatron-SWIFT's custom data sets.
 */
final class RowParser {
  /** The channel of rows that name none, or an empty one. */
  static final String NO_CHANNEL = "None";

  private static final String WITH_CHANNELS = ", channels";
  private static final String OF_TASK = "task ";

  private final boolean preTraining;
  private final @Nullable String system;
  private final ColumnNames names;
  private final boolean channels;
  private final @Nullable SequenceTask task;

  /** Makes a parser that leaves channels aside. */
  RowParser(boolean preTraining, @Nullable String system, ColumnNames names) {
    this(preTraining, system, names, false);
  }

  /** Makes a parser of rows whose loss is that of tokens. */
  RowParser(boolean preTraining, @Nullable String system, ColumnNames names, boolean channels) {
    this(preTraining, system, names, channels, null);
  }

  /**
   * Makes a parser.
   *
   * @param preTraining whether a row may be text rather than a conversation
   * @param system put in front of conversations that have no system message
   * @param channels whether rows keep the group in which their loss is shown
   * @param task how rows become labelled sequences; null where the loss is that of tokens
   */
  RowParser(
      boolean preTraining,
      @Nullable String system,
      ColumnNames names,
      boolean channels,
      @Nullable SequenceTask task) {
    this.preTraining = preTraining;
    this.system = system;
    this.names = names;
    this.channels = channels;
    this.task = task;
  }

  /** The same for data whose columns mean something else. */
  RowParser with(ColumnNames columns) {
    return columns.equals(names)
        ? this
        : new RowParser(preTraining, system, columns, channels, task);
  }

  /** Whether rows become labelled sequences. */
  boolean makesSequences() {
    return task != null;
  }

  /** Everything that decides what a row becomes. */
  String identity() {
    return (task == null ? "" : OF_TASK + task.rowIdentity() + ", ")
        + "rows 4, pre-training "
        + preTraining
        + ", system "
        + system
        + ", columns "
        + names
        + (channels ? WITH_CHANNELS : "");
  }

  /** Whether a parser of this identity read labelled sequences. */
  static boolean readsTask(String identity) {
    return identity.startsWith(OF_TASK);
  }

  /** Whether a parser of this identity read channels. */
  static boolean readsChannels(String identity) {
    return identity.endsWith(WITH_CHANNELS);
  }

  /** Whether a parser of this identity read rows as this one does, channels aside. */
  boolean readsAs(String identity) {
    return withoutChannels(identity).equals(withoutChannels());
  }

  /** The {@link #identity} as if channels were left aside. */
  String withoutChannels() {
    return withoutChannels(identity());
  }

  private static String withoutChannels(String identity) {
    return readsChannels(identity)
        ? identity.substring(0, identity.length() - WITH_CHANNELS.length())
        : identity;
  }

  Row parse(String line) throws BadRow {
    return parse(RowJson.parse(line));
  }

  Row parse(JsonNode row) throws BadRow {
    if (!row.isObject()) {
      throw new BadRow(BadRow.Kind.SYNTAX, "is not a JSON object; a row looks like " + example());
    }
    Columns columns = names.of(row);
    List<Message> messages = messages(columns);
    Column tools = columns.named(ColumnNames.TOOLS);
    return new Row(
        messages,
        tools == null ? List.of() : ToolMessages.tools(tools),
        channels ? channel(columns) : null,
        task == null ? null : new SequenceColumns(task, system).read(columns, messages));
  }

  private List<Message> messages(Columns columns) throws BadRow {
    Column list = columns.find(ColumnNames.MESSAGES);
    if (list != null) {
      return complete(MessageList.read(list), columns);
    }
    Column text = columns.named("text");
    if (preTraining && text != null && !columns.isGiven(ColumnNames.RESPONSE)) {
      return List.of(new Message("assistant", notEmpty(text)));
    }
    return complete(rounds(columns), columns);
  }

  private static String channel(Columns columns) throws BadRow {
    Column column = columns.named(ColumnNames.CHANNEL);
    if (column == null) {
      return NO_CHANNEL;
    }
    if (column.value().isContainerNode()) {
      throw new BadRow(
          BadRow.Kind.CONTENT, "has a column '" + column.name() + "' that is not a name");
    }
    String name =
        column.value().isTextual()
            ? MessageList.text(column.value(), in(column))
            : column.value().asText();
    return name.isBlank() ? NO_CHANNEL : name;
  }

  private String example() {
    return preTraining
        ? "{\"text\": \"...\"}"
        : task != null
            ? "{\"messages\": [{\"role\": \"user\", \"content\": \"...\"}], ...}"
            : "{\"messages\": [{\"role\": \"user\", \"content\": \"...\"}, {\"role\": \"assistant\","
                + " \"content\": \"...\"}]}";
  }

  private List<Message> complete(List<Message> messages, Columns columns) throws BadRow {
    if (!preTraining && task == null && !messages.getLast().isAnswer()) {
      throw new BadRow(
          BadRow.Kind.CONTENT,
          "ends with a message of '"
              + messages.getLast().role()
              + "'; the last must be 'assistant'");
    }
    if (messages.getFirst().role().equals("system")) {
      return messages;
    }
    Column own = columns.find(ColumnNames.SYSTEM);
    String prompt = own == null ? "" : MessageList.text(own.value(), in(own));
    if (prompt.isEmpty() && system != null && !preTraining) {
      // An empty --system stays a message: it keeps a template's own system prompt away.
      messages.addFirst(new Message("system", system));
    } else if (!prompt.isEmpty()) {
      messages.addFirst(new Message("system", prompt));
    }
    return messages;
  }

  private List<Message> rounds(Columns columns) throws BadRow {
    Column response = response(columns);
    String asked = task == null ? null : query(columns);
    if (response == null && asked == null) {
      throw new BadRow(
          BadRow.Kind.COLUMNS,
          "has no column "
              + (preTraining
                  ? "'text' or 'messages'"
                  : task == null
                      ? "'messages', nor 'query' and 'response'"
                      : "'messages' or 'query'")
              + "; a row looks like "
              + example()
              + ", and --columns gives other columns these meanings");
    }
    List<Message> messages = new ArrayList<>();
    Column history = columns.find(ColumnNames.HISTORY);
    if (history != null) {
      addHistory(messages, history);
    }
    String query = query(columns);
    if (query != null) {
      messages.add(new Message("user", query));
    }
    if (response == null) {
      return messages;
    }
    boolean alone = preTraining && messages.isEmpty();
    messages.add(
        new Message(
            "assistant",
            alone ? notEmpty(response) : MessageList.text(response.value(), in(response))));
    return messages;
  }

  /** Alpaca's output, else the response; of several responses the first. */
  private static @Nullable Column response(Columns columns) throws BadRow {
    Column named = columns.named(ColumnNames.RESPONSE);
    if (named == null && columns.named("instruction") != null) {
      named = columns.named("output");
    }
    Column response = named == null ? columns.find(ColumnNames.RESPONSE) : named;
    if (response != null && response.value().isArray()) {
      JsonNode first = response.value().path(0);
      return first.isMissingNode() ? null : new Column(response.name(), first);
    }
    return response;
  }

  /** The query, or Alpaca's instruction and input joined by a line end; null if there is none. */
  private static @Nullable String query(Columns columns) throws BadRow {
    Column instruction = columns.named("instruction");
    Column input = columns.named("input");
    if (columns.named(ColumnNames.QUERY) == null && instruction != null && input != null) {
      String first = MessageList.text(instruction.value(), in(instruction));
      String second = MessageList.text(input.value(), in(input));
      return first + (first.isEmpty() || second.isEmpty() ? "" : "\n") + second;
    }
    Column query = columns.find(ColumnNames.QUERY);
    return query == null ? null : MessageList.text(query.value(), in(query));
  }

  private static void addHistory(List<Message> messages, Column history) throws BadRow {
    JsonNode rounds = MessageList.unquoted(history);
    int number = 1;
    for (JsonNode round : rounds) {
      String where = "round " + number++ + " of '" + history.name() + "'";
      if (!round.isArray() || round.size() != 2) {
        throw new BadRow(
            BadRow.Kind.CONTENT, "has a " + where + " that is not a list of question and answer");
      }
      if (!round.get(0).isNull()) {
        messages.add(new Message("user", MessageList.text(round.get(0), "question in " + where)));
      }
      if (!round.get(1).isNull()) {
        messages.add(
            new Message("assistant", MessageList.text(round.get(1), "answer in " + where)));
      }
    }
    if (!rounds.isArray()) {
      throw new BadRow(
          BadRow.Kind.CONTENT,
          "has a column '" + history.name() + "' that is not a list of rounds");
    }
  }

  private static String notEmpty(Column column) throws BadRow {
    String text = MessageList.text(column.value(), in(column));
    if (text.isEmpty()) {
      throw new BadRow(BadRow.Kind.CONTENT, "has an empty column '" + column.name() + "'");
    }
    return text;
  }

  private static String in(Column column) {
    return "column '" + column.name() + "'";
  }
}
