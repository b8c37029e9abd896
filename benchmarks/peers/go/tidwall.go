package main

import (
	"fmt"
	"path/filepath"

	"github.com/tidwall/wal"
)

// tidwallLog is tidwall/wal with its defaults: segments of 20 MB that grow, an fsync a batch. It
// has no CRCs, and does not sync the directory when it begins a segment.
type tidwallLog struct {
	log   *wal.Log
	path  string
	batch wal.Batch
	last  uint64
}

func openTidwall(given options) (groupLog, error) {
	path := filepath.Join(given.dir, "wal")
	log, err := wal.Open(path, nil)
	return &tidwallLog{log: log, path: path}, err
}

func (l *tidwallLog) commit(records [][]byte) error {
	l.batch.Clear()
	for _, record := range records {
		l.last++
		l.batch.Write(l.last, record)
	}
	return l.log.WriteBatch(&l.batch)
}

func (l *tidwallLog) count() (int64, error) {
	if err := l.log.Close(); err != nil {
		return 0, err
	}
	log, err := wal.Open(l.path, nil)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	first, err := log.FirstIndex()
	if err != nil {
		return 0, err
	}
	last, err := log.LastIndex()
	if err != nil {
		return 0, err
	}
	if first != 1 {
		return 0, fmt.Errorf("the log begins with %d", first)
	}
	return int64(last - first + 1), nil
}
