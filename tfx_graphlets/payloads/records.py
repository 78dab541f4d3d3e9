"""Records of TFRecord files, which statistics and evaluations are kept in."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tfx_graphlets.payloads.bounds import decompressed

_GZIP_MAGIC = b"\x1f\x8b"


def tfrecords(content: bytes) -> Iterator[bytes]:
    """Records of a TFRecord file, plain or gzip; checksums are not checked.

    Args:
      content: the file's bytes: per record its length (uint64, little
        endian), the length's checksum (4 bytes), the data, its checksum.

    Raises:
      ValueError: the file is cut off or is no TFRecord file.
    """
    if content.startswith(_GZIP_MAGIC):
        content = decompressed(content)
    offset = 0
    while offset < len(content):
        if offset + 12 > len(content):
            raise ValueError("cut off within a record's length")
        (length,) = struct.unpack_from("<Q", content, offset)
        offset += 12
        if offset + length + 4 > len(content):
            raise ValueError("cut off within a record")
        yield content[offset : offset + length]
        offset += length + 4
