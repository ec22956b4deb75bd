package io.panatron.runtime.data.source;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.hardwood.InputFile;
import dev.hardwood.reader.ParquetFileReader;
import dev.hardwood.reader.RowReader;
import dev.hardwood.row.PqList;
import dev.hardwood.row.PqMap;
import dev.hardwood.row.PqStruct;
import dev.hardwood.row.StructAccessor;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The rows of a Parquet file; structs become objects, lists and maps what they are in JSON. */
final class ParquetCursor implements RowCursor {
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  private final Path path;
  private final ParquetFileReader file;
  private final RowReader rows;
  private long number;

  private ParquetCursor(Path path, ParquetFileReader file, RowReader rows) {
    this.path = path;
    this.file = file;
    this.rows = rows;
  }

  static ParquetCursor open(Path path) {
    try {
      ParquetFileReader file = ParquetFileReader.open(InputFile.of(path));
      try {
        return new ParquetCursor(path, file, file.rowReader());
      } catch (RuntimeException e) {
        file.close();
        throw e;
      }
    } catch (IOException | RuntimeException e) {
      throw unreadable(path, 0, e);
    }
  }

  @Override
  public @Nullable RawRow next() {
    long next = number + 1;
    try {
      if (!rows.hasNext()) {
        return null;
      }
      rows.next();
      number = next;
      return new JsonCursor.Parsed(next, object(rows));
    } catch (RuntimeException e) {
      throw unreadable(path, next, e);
    }
  }

  private static ObjectNode object(StructAccessor struct) {
    ObjectNode object = JSON.objectNode();
    for (int i = 0; i < struct.getFieldCount(); i++) {
      object.set(struct.getFieldName(i), node(struct.isNull(i) ? null : struct.getValue(i)));
    }
    return object;
  }

  private static JsonNode node(@Nullable Object value) {
    return switch (value) {
      case null -> JSON.nullNode();
      case String text -> JSON.textNode(text);
      case Boolean flag -> JSON.booleanNode(flag);
      case Integer whole -> JSON.numberNode(whole);
      case Long whole -> JSON.numberNode(whole);
      case Float number -> JSON.numberNode(number);
      case Double number -> JSON.numberNode(number);
      case PqStruct struct -> object(struct);
      case PqList list -> array(list.values());
      case PqMap map -> map(map);
      case byte[] bytes -> bytes(bytes);
      default -> JSON.textNode(value.toString());
    };
  }

  /**
   * The text that some writers leave without the annotation of UTF-8; else an object, which no
   * column that is read may be, so that only rows that need the value are bad.
   */
  private static JsonNode bytes(byte[] bytes) {
    try {
      return JSON.textNode(RowJson.utf8(ByteBuffer.wrap(bytes)));
    } catch (BadRow e) {
      return JSON.objectNode().put("bytes", bytes.length);
    }
  }

  private static ArrayNode array(List<Object> values) {
    ArrayNode array = JSON.arrayNode(values.size());
    for (Object value : values) {
      array.add(node(value));
    }
    return array;
  }

  private static ObjectNode map(PqMap map) {
    ObjectNode object = JSON.objectNode();
    for (PqMap.Entry entry : map.getEntries()) {
      object.set(String.valueOf(entry.getKey()), node(entry.getValue()));
    }
    return object;
  }

  private static UserError unreadable(Path path, long row, Exception e) {
    return new UserError(
        "the Parquet file "
            + path
            + " cannot be read"
            + (row == 0 ? "" : " at row " + row)
            + " ("
            + (e.getMessage() == null ? e.toString() : e.getMessage())
            + "); copy it again, or write it with Snappy, Zstandard, gzip or no compression",
        e);
  }

  @Override
  public void close() {
    try {
      rows.close();
      file.close();
    } catch (IOException e) {
      throw new UncheckedIOException("closing " + path, e);
    }
  }
}
