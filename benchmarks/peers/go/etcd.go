package main

import (
	"path/filepath"

	etcdwal "go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// etcdLog is the log of etcd: a CRC a record, segments of 64 MB allocated beforehand, an fdatasync
// a Save. Its entries are made once and used again, so that it is spared the garbage.
type etcdLog struct {
	log     *etcdwal.WAL
	path    string
	entries []*raftpb.Entry
	last    uint64
}

const term = uint64(1)

func openEtcd(given options) (groupLog, error) {
	path := filepath.Join(given.dir, "wal")
	log, err := etcdwal.Create(zap.NewNop(), path, nil)
	entries := make([]*raftpb.Entry, given.outstanding)
	for n := range entries {
		normal := raftpb.EntryNormal
		entries[n] = &raftpb.Entry{Term: new(term), Index: new(uint64), Type: &normal}
	}
	return &etcdLog{log: log, path: path, entries: entries}, err
}

func (l *etcdLog) commit(records [][]byte) error {
	group := l.entries[:len(records)]
	for n, record := range records {
		l.last++
		*group[n].Index = l.last
		group[n].Data = record
	}
	return l.log.Save(nil, group)
}

// count writes the last index into a state record behind all entries, and has the whole log checked:
// a chain of CRCs leads there, so that no entry before it can be missing.
func (l *etcdLog) count() (int64, error) {
	state := &raftpb.HardState{Term: new(term), Vote: new(uint64), Commit: new(l.last)}
	if err := l.log.Save(state, nil); err != nil {
		return 0, err
	}
	if err := l.log.Close(); err != nil {
		return 0, err
	}
	found, err := etcdwal.Verify(zap.NewNop(), l.path, &walpb.Snapshot{})
	return int64(found.GetCommit()), err
}
