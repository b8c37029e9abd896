"""SQLite as a log: journal_mode=WAL, synchronous=FULL, so that COMMIT syncs before it returns.

Usage: append.py DIR LINES RECORD_BYTES OUTSTANDING WARM_UP_MS MEASURE_MS. One thread: OUTSTANDING
records a transaction, acknowledged by its COMMIT. The checkpoints into the database file that
SQLite makes by itself are part of the time. Prints one line of JSON, as go/main.go does.
"""

import json
import os
import sqlite3
import sys
import time


def open_log(directory):
    log = sqlite3.connect(os.path.join(directory, "log.db"), isolation_level=None)
    if log.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
        raise RuntimeError("SQLite gives no WAL here")
    log.execute("PRAGMA synchronous=FULL")
    return log


def make_group(path, record_bytes, outstanding):
    """The records of a transaction: lines, or as many lines in a row as make one record."""
    with open(path, "rb") as file:
        text = file.read().replace(b"\n", b"")
    while len(text) < record_bytes:
        text += text
    records = [text[at : at + record_bytes] for at in range(0, len(text), record_bytes)]
    whole = [record for record in records if len(record) == record_bytes]
    return [(whole[n % len(whole)],) for n in range(outstanding)]


def main(directory, lines, *numbers):
    record_bytes, outstanding, warm_up_ms, measure_ms = map(int, numbers)
    group = make_group(lines, record_bytes, outstanding)
    log = open_log(directory)
    log.execute("CREATE TABLE log(seq INTEGER PRIMARY KEY, record BLOB)")
    appended = 0
    begin = end = None
    start = time.monotonic()
    while end is None:
        log.execute("BEGIN IMMEDIATE")
        log.executemany("INSERT INTO log(record) VALUES (?)", group)
        log.execute("COMMIT")
        appended += len(group)
        now = time.monotonic()
        if begin is None and now - start >= warm_up_ms / 1000:
            begin = (now, appended)
        elif begin is not None and now - begin[0] >= measure_ms / 1000:
            end = (now, appended)
    log.close()
    log = sqlite3.connect(os.path.join(directory, "log.db"))
    found, last = log.execute("SELECT count(*), max(seq) FROM log").fetchone()
    if last != appended:
        raise RuntimeError(f"{appended} records appended, and the last one has number {last}")
    measured = {"records": end[1] - begin[1], "seconds": end[0] - begin[0]}
    print(json.dumps({**measured, "appended": appended, "found": found}))


main(*sys.argv[1:])
