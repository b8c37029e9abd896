#!/usr/bin/env python3
"""Reads millrace logs with nothing but Python 3.7 and its standard library: docs/wal-format.md, as code.

    python3 read_wal.py DIR        a checkpoint directory, or the directory of one log

Prints every record as one line of JSON, the same values as `millrace wal export DIR`
(which goes on behind a file that is bad as a whole; this ends the log there). What the logs
themselves prove decides the exit code: 0 clean, 1 torn tail, 2 damage, 3 written by a newer version.
Whether logs contradict each other is beyond it: that is `millrace wal verify`.
"""
import json
import os
import re
import struct
import sys
import zlib

PAGE, HEADER, PAYLOAD_MAX = 4096, 32, 64 * 1024 * 1024
TYPES = {1: "payload", 2: "watermark", 3: "closed"}
u32 = lambda data, at: struct.unpack_from("<I", data, at)[0]

class Damaged(Exception):
    code = 2

class Newer(Damaged):
    code = 3

def unpack(data, at):
    """One MessagePack value at data[at]. Returns it and where the next one begins."""
    def sized(form, start):
        return struct.unpack_from(form, data, start)[0], start + struct.calcsize(form)

    tag, at = data[at], at + 1
    if tag < 0x80 or tag >= 0xE0:
        return (tag if tag < 0x80 else tag - 0x100), at
    if tag in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[tag], at
    if 0xCA <= tag <= 0xD3:  # numbers
        return sized(">" + "fdBHIQbhiq"[tag - 0xCA], at)
    if 0xA0 <= tag < 0xC0 or 0xD9 <= tag <= 0xDB or 0xC4 <= tag <= 0xC6:  # text, bytes
        form = ">" + "BHI"[tag - (0xC4 if tag < 0xD9 else 0xD9)] if tag >= 0xC0 else ""
        length, at = sized(form, at) if form else (tag & 31, at)
        body = data[at:at + length]
        return (list(body) if 0xC4 <= tag <= 0xC6 else body.decode()), at + length
    if 0x80 <= tag < 0xA0 or 0xDC <= tag <= 0xDF:  # arrays, maps
        length, at = (tag & 15, at) if tag < 0xA0 else sized(">" + "HIHI"[tag - 0xDC], at)
        is_map, items = tag < 0x90 or tag >= 0xDE, []
        for _ in range(length * 2 if is_map else length):
            item, at = unpack(data, at)
            items.append(item)
        return (dict(zip(items[::2], items[1::2])) if is_map else items), at
    raise Damaged(f"MessagePack tag {tag:#x}: extensions of records are not decoded here")

def read_segment(path, seq):
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < PAGE or data[:4] != b"MRWL" or zlib.crc32(data[:PAGE - 4]) != u32(data, PAGE - 4):
        raise Damaged(f"{path}: its header is damaged")
    features = u32(data, 12)  # bit 0: it grows by appending, so its file may be shorter
    if struct.unpack_from("<H", data, 4)[0] != 1 or features > 1:
        raise Newer(f"{path} was written by a newer version")
    epoch, own_seq, base, length, previous, durable = struct.unpack_from("<6Q", data, 32)
    if own_seq != seq or (len(data) < length and not features):
        raise Damaged(f"{path}: not segment {seq}, or cut off")
    return {"path": path, "data": data[:length], "log id": data[16:32], "seq": seq, "base": base,
            "durable": max(previous, durable), "salt": u32(data, 84), "previous crc": u32(data, 80),
            "crc": u32(data, PAGE - 4)}

def header_at(segment, at):
    data = segment["data"]
    if at + HEADER > len(data) or data[at] == 0 or data[at + 2:at + 4] != b"MR":
        return None
    bare = data[at:at + 8] + bytes(4) + data[at + 12:at + HEADER]
    if zlib.crc32(bare, segment["salt"] ^ (at // 8)) != u32(data, at + 8):
        return None
    if data[at] not in TYPES or data[at + 1] > 1:
        raise Newer(f"{segment['path']}: byte {at} has a record of a newer version")
    return struct.unpack_from("<BBHIIIQQ", data, at)

def read_log(directory, name):
    names = [n for n in sorted(os.listdir(directory)) if re.fullmatch(r"[0-9a-f]{16}\.wal", n)]
    segments = [read_segment(os.path.join(directory, n), int(n[:16], 16)) for n in names]
    for old, new in zip(segments, segments[1:]):
        if (new["seq"], new["previous crc"], new["log id"]) != (old["seq"] + 1, old["crc"], old["log id"]):
            raise Damaged(f"{new['path']} does not continue the segment before it")
    expected, witnessed, hole, is_torn = 1, 0, None, False
    for index, segment in enumerate(segments):
        limit = min([later["base"] for later in segments[index + 1:]], default=1 << 53)
        witnessed = max(witnessed, min(segment["durable"], limit - 1))
        if segment["base"] >= limit:
            continue  # void: a later segment begins below it
        expected, at, data = segment["base"], PAGE, segment["data"]
        while expected < limit:
            found = header_at(segment, at)
            payload = data[at + HEADER:at + HEADER + found[3]] if found else b""
            is_whole = found and found[6] == expected and found[3] <= PAYLOAD_MAX
            if is_whole and len(payload) == found[3] and zlib.crc32(payload) == found[5]:
                witnessed = max(witnessed, min(found[7], limit - 1))
                print(json.dumps(view(name, segment, at, found, payload), ensure_ascii=False))
                step = PAGE if found[1] & 1 else 8
                at, expected = -(-(at + HEADER + found[3]) // step) * step, expected + 1
                continue
            # Not whole: go on at the next sound header, if there is one.
            mine = b"MR" + expected.to_bytes(8, "little")
            is_touched = data[at + 2:at + 4] + data[at + 16:at + 24] == mine
            behind = ((h, b) for b in range(at + 8, len(data), 8) for h in [header_at(segment, b)] if h)
            found, at = next(((h, b) for h, b in behind if expected < h[6] < limit), (None, at))
            if found or is_touched or limit < 1 << 53:
                hole, is_torn = hole or expected, True
            if not found:
                break
            witnessed, expected = max(witnessed, min(found[7], limit - 1)), found[6]
    missing = hole or expected
    if missing <= witnessed:
        raise Damaged(f"{name}: record {missing} is not there, {witnessed} had been synced")
    return 1 if is_torn else 0

def view(name, segment, at, found, payload):
    line = {"log": name, "lsn": found[6], "type": TYPES[found[0]],
            "segment": os.path.basename(segment["path"]), "offset": at, "length": found[3],
            "durableLsn": found[7]}
    if found[0] == 2:
        return {**line, "peerLsn": int.from_bytes(payload[:8], "little")}
    content = unpack(payload, 0)[0] if found[0] == 1 else None
    is_block = content is not None and payload[0] == 0x98
    more = block_view(content, payload) if is_block else {"event": content} if content else {}
    return {**line, **more}

def block_view(content, payload):
    _, _, (stream, receiver, epoch, n, seq), count, codec, positions, ids, is_buffered = content
    start, length = 8, struct.unpack_from(">I", payload, 4)[0]  # the bin, behind 8 fixed bytes
    ends = struct.unpack_from(f"<{count}I", payload, start + length - 4 * count)
    pieces = [payload[start + a:start + b] for a, b in zip((0,) + ends, ends)]
    records = [unpack(p, 0)[0] if codec == "msgpack" else p.decode() for p in pieces]
    return {"block": {"stream": stream, "receiver": receiver, "epoch": epoch, "n": n, "seq": seq,
                      "codec": codec, "count": count, "positions": positions, "sourceIds": ids,
                      "isBuffered": is_buffered}, "records": records}

def main(directory):
    logs = [n for n in sorted(os.listdir(directory)) if re.fullmatch(r"driver-log(-mirror)?|receiver-log-\d+(\.\d+)?", n)]
    code = 0
    for name in logs or [os.path.basename(os.path.abspath(directory))]:
        try:
            code = max(code, read_log(os.path.join(directory, name) if logs else directory, name))
        except Damaged as error:
            code = max(code, error.code)
            print(error, file=sys.stderr)
    return code

if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main(sys.argv[1]))
