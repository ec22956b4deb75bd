package io.panatron.runtime.quickstart;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A tokenizer of bytes: every byte is a token, and so are a few whole words and the marks of
 * ChatML, which keeps the tasks' rows short while letters and digits stay single tokens.
 *
 * <p>Written as a Hugging Face {@code tokenizer.json} (byte-level BPE without merges, which takes a
 * whole word of its vocabulary as it is), so any text can be encoded and other programs can read
 * it.
 */
public final class QuickstartTokenizer {
  /** Words that are one token each where they stand alone. */
  static final List<String> WORDS = List.of("system", "user", "assistant", "reverse", "sort");

  private static final int BYTES = 256;

  /** Ends a text. */
  static final int END_OF_TEXT = BYTES + WORDS.size();

  /** Ends a message, and so an answer. */
  static final int MESSAGE_END = END_OF_TEXT + 2;

  /** Number of tokens. */
  static final int VOCABULARY = END_OF_TEXT + 3;

  private static final List<String> SPECIAL =
      List.of("<|endoftext|>", "<|im_start|>", "<|im_end|>");

  private static final String CHAT_TEMPLATE =
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
          + " + '<|im_end|>\\n' }}{% endfor %}"
          + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

  private QuickstartTokenizer() {}

  /** Writes {@code tokenizer.json} and {@code tokenizer_config.json} into a folder. */
  static void write(Path folder, int maxLength) throws IOException {
    ObjectMapper json = new ObjectMapper();
    json.writerWithDefaultPrettyPrinter()
        .writeValue(folder.resolve("tokenizer.json").toFile(), tokenizer(json));
    ObjectNode config = json.createObjectNode();
    config.put("tokenizer_class", "PreTrainedTokenizerFast");
    config.put("chat_template", CHAT_TEMPLATE);
    config.putNull("bos_token");
    config.put("eos_token", "<|im_end|>");
    config.put("pad_token", "<|endoftext|>");
    config.put("model_max_length", maxLength);
    config.put("clean_up_tokenization_spaces", false);
    Files.writeString(
        folder.resolve("tokenizer_config.json"), config.toPrettyString() + System.lineSeparator());
  }

  private static ObjectNode tokenizer(ObjectMapper json) {
    ObjectNode root = json.createObjectNode();
    root.put("version", "1.0").putNull("truncation").putNull("padding");
    ArrayNode added = root.putArray("added_tokens");
    for (int i = 0; i < SPECIAL.size(); i++) {
      added
          .addObject()
          .put("id", END_OF_TEXT + i)
          .put("content", SPECIAL.get(i))
          .put("single_word", false)
          .put("lstrip", false)
          .put("rstrip", false)
          .put("normalized", false)
          .put("special", true);
    }
    root.putNull("normalizer");
    ObjectNode before = root.putObject("pre_tokenizer").put("type", "Sequence");
    ArrayNode steps = before.putArray("pretokenizers");
    steps
        .addObject()
        .put("type", "Split")
        .put("behavior", "Isolated")
        .put("invert", false)
        .putObject("pattern")
        .put("Regex", "\\b(?:" + String.join("|", WORDS) + ")\\b|[\\s\\S]");
    byteLevel(steps.addObject()).put("use_regex", false);
    root.putNull("post_processor");
    byteLevel(root.putObject("decoder")).put("use_regex", true);
    ObjectNode model = root.putObject("model").put("type", "BPE");
    model.putNull("dropout").putNull("unk_token");
    model.putNull("continuing_subword_prefix").putNull("end_of_word_suffix");
    model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", true);
    ObjectNode vocabulary = model.putObject("vocab");
    for (int b = 0; b < BYTES; b++) {
      vocabulary.put(byteText(b), b);
    }
    for (int i = 0; i < WORDS.size(); i++) {
      vocabulary.put(WORDS.get(i), BYTES + i);
    }
    model.putArray("merges");
    return root;
  }

  private static ObjectNode byteLevel(ObjectNode node) {
    return node.put("type", "ByteLevel").put("add_prefix_space", false).put("trim_offsets", true);
  }

  /**
   * The character that stands for a byte in a byte-level vocabulary: itself if it is printable in
   * Latin-1, else the next unused one from U+0100. Source: GPT-2's {@code bytes_to_unicode}.
   */
  private static String byteText(int value) {
    int hidden = 0;
    for (int b = 0; b < value; b++) {
      hidden += printable(b) ? 0 : 1;
    }
    return Character.toString(printable(value) ? value : 0x100 + hidden);
  }

  private static boolean printable(int b) {
    return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
  }
}
