package io.panatron.runtime.generate;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.Message;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A conversation of several turns.
 *
 * <p>Keys and values stay cached from turn to turn: only the tokens after the longest beginning
 * that the new prompt shares with what was computed before are computed.
 */
public final class ChatSession implements AutoCloseable {
  private static final int SLOT = 0;

  private final Answering answering;
  private final Generator generator;
  private final GenerationSettings settings;
  private final List<String> stops;
  private final List<Message> opening;
  private final List<Message> messages = new ArrayList<>();
  private final DecodingBatch batch;
  private final Sampler sampler;
  private final double[] logits;

  /** The tokens whose keys and values are cached. */
  private int[] cached = new int[0];

  private int turns;

  /**
   * Starts a conversation.
   *
   * @param generator of the model that {@code answering} has loaded
   * @param settings one sample a turn; the turn's number selects its random stream
   * @param stops strings that end an answer and are no part of it
   * @param system the system prompt; null for none
   */
  public ChatSession(
      Answering answering,
      Generator generator,
      GenerationSettings settings,
      List<String> stops,
      @Nullable String system) {
    this.answering = answering;
    this.generator = generator;
    this.settings = settings;
    this.stops = List.copyOf(stops);
    opening = system == null ? List.of() : List.of(new Message("system", system));
    batch = generator.open(1, settings);
    sampler = new Sampler(batch.vocabulary());
    logits = new double[batch.vocabulary()];
    clear();
  }

  /** Forgets all turns. */
  public void clear() {
    messages.clear();
    messages.addAll(opening);
  }

  /** The conversation so far. */
  public List<Message> messages() {
    return List.copyOf(messages);
  }

  /**
   * Says something and returns the answer; both become part of the conversation.
   *
   * @param stream hears each piece of the answer as soon as it is certain
   * @throws UserError if the conversation became longer than the model takes; it is unchanged then
   */
  public Answer say(String text, Consumer<String> stream) {
    List<Message> asked = new ArrayList<>(messages);
    asked.add(new Message("user", text));
    int[] prompt = answering.encode(asked);
    GenerationSettings limited = settings.withMaxNewTokens(roomFor(prompt));
    AnswerTexts texts =
        new AnswerTexts(
            answering::decode,
            stops,
            new AnswerListener() {
              @Override
              public void piece(int turn, int sample, String piece) {
                stream.accept(piece);
              }
            });
    decode(prompt, new Row(turns, 0, prompt, limited), texts);
    Answer answer = texts.answers().getFirst();
    messages.clear();
    messages.addAll(asked);
    messages.add(new Message("assistant", answering.answerStart() + answer.text()));
    turns++;
    return answer;
  }

  private int roomFor(int[] prompt) {
    int room = answering.positions() - prompt.length;
    if (room < 1 || prompt.length == 0) {
      throw new UserError(
          ("the conversation has %d tokens, but the model takes %d, answer included; start a new"
                  + " one.")
              .formatted(prompt.length, answering.positions()));
    }
    return Math.min(room, settings.maxNewTokens());
  }

  private void decode(int[] prompt, Row row, TokenListener listener) {
    int kept = reusable(prompt);
    batch.truncate(SLOT, kept);
    // True also if a step or the listener throws below.
    cached = Arrays.copyOf(prompt, kept);
    int[] next = Arrays.copyOfRange(prompt, kept, prompt.length);
    int read = next.length;
    while (!row.hasEnded()) {
      long start = System.nanoTime();
      batch.step(List.of(SLOT), List.of(next), read == 0);
      batch.logits(SLOT, logits);
      row.draw(logits, sampler, listener);
      generator.throughput().count(read, 1, System.nanoTime() - start);
      next = new int[] {row.lastToken()};
      read = 0;
    }
    int[] drawn = row.tokens();
    // The last token was drawn but never computed.
    cached = Arrays.copyOf(prompt, prompt.length + drawn.length - 1);
    System.arraycopy(drawn, 0, cached, prompt.length, drawn.length - 1);
  }

  /** How many tokens of a prompt are cached; the last is computed anew, for its logits. */
  private int reusable(int[] prompt) {
    int same = Arrays.mismatch(prompt, cached);
    int shared = same < 0 ? prompt.length : same;
    int reusable = Math.min(shared, prompt.length - 1);
    return batch.holds(SLOT, reusable) ? reusable : 0;
  }

  @Override
  public void close() {
    batch.close();
  }
}
