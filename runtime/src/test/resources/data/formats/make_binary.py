"""Writes binary.parquet: two rows with a column of bytes that are no text.

One row group, PLAIN encoding, no compression, required columns; by the Parquet format's Thrift
definitions alone, so that no library annotates the bytes.
"""

import os
import struct

COLUMNS = {
    "query": (True, [b"q1", b"q2"]),
    "response": (True, [b"r1", b"r2"]),
    "image": (False, [b"\x89PNG\xff\xfe", b"text"]),
}
BYTE_ARRAY, PLAIN, DATA_PAGE, UTF8 = 6, 0, 0, 0
I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def number(n):
    return varint(n << 1)


def text(b):
    return varint(len(b)) + b


def items(kind, values):
    return bytes([len(values) << 4 | kind]) + b"".join(values)


def fields(*triples):
    out, last = b"", 0
    for key, kind, value in triples:
        out, last = out + bytes([(key - last) << 4 | kind]) + value, key
    return out + b"\0"


def main():
    data, chunks, total = b"PAR1", [], 0
    schema = [fields((4, BINARY, text(b"schema")), (5, I32, number(len(COLUMNS))))]
    for name, (is_text, values) in COLUMNS.items():
        element = [(1, I32, number(BYTE_ARRAY)), (3, I32, number(0)), (4, BINARY, text(name.encode()))]
        schema.append(fields(*element, *([(6, I32, number(UTF8))] if is_text else [])))
        page = b"".join(struct.pack("<i", len(v)) + v for v in values)
        size = number(len(page))
        layout = fields((1, I32, number(2)), (2, I32, number(PLAIN)), (3, I32, number(3)), (4, I32, number(3)))
        header = fields((1, I32, number(DATA_PAGE)), (2, I32, size), (3, I32, size), (5, STRUCT, layout))
        length, offset = len(header) + len(page), len(data)
        meta = fields(
            (1, I32, number(BYTE_ARRAY)),
            (2, LIST, items(I32, [number(PLAIN)])),
            (3, LIST, items(BINARY, [text(name.encode())])),
            (4, I32, number(0)),
            (5, I64, number(2)),
            (6, I64, number(length)),
            (7, I64, number(length)),
            (9, I64, number(offset)),
        )
        chunks.append(fields((2, I64, number(offset)), (3, STRUCT, meta)))
        data, total = data + header + page, total + length
    group = fields((1, LIST, items(STRUCT, chunks)), (2, I64, number(total)), (3, I64, number(2)))
    footer = fields(
        (1, I32, number(1)),
        (2, LIST, items(STRUCT, schema)),
        (3, I64, number(2)),
        (4, LIST, items(STRUCT, [group])),
    )
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "binary.parquet")
    with open(path, "wb") as file:
        file.write(data + footer + struct.pack("<i", len(footer)) + b"PAR1")


if __name__ == "__main__":
    main()
