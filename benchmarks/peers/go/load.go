package main

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// load hands records one by one to a committer, which commits whatever is waiting as one group: the
// group commit that a user of a log without one of its own has to write. Groups grow while the one
// before is being synced. A record is acknowledged by a counter, one addition for its whole group.
type load struct {
	log          groupLog
	records      [][]byte
	limit        int // records not yet acknowledged, at most
	acknowledged atomic.Int64
	isStopping   atomic.Bool
	ended        sync.WaitGroup

	mutex       sync.Mutex
	hasRoom     *sync.Cond
	hasRecords  *sync.Cond
	waiting     [][]byte // handed over, not yet taken
	spare       [][]byte
	outstanding int
	isEnd       bool
	failure     error
}

func newLoad(log groupLog, records [][]byte, limit int) *load {
	l := &load{log: log, records: records, limit: limit}
	l.waiting, l.spare = make([][]byte, 0, limit), make([][]byte, 0, limit)
	l.hasRoom, l.hasRecords = sync.NewCond(&l.mutex), sync.NewCond(&l.mutex)
	return l
}

func (l *load) start() {
	l.ended.Add(2)
	go l.produce()
	go l.commitGroups()
}

// stop returns when every record that was handed over is acknowledged.
func (l *load) stop() error {
	l.isStopping.Store(true)
	l.ended.Wait()
	return l.failure
}

func (l *load) produce() {
	defer l.ended.Done()
	for n := 0; !l.isStopping.Load() && l.put(l.records[n%len(l.records)]); n++ {
	}
	l.mutex.Lock()
	l.isEnd = true
	l.hasRecords.Signal()
	l.mutex.Unlock()
}

func (l *load) put(record []byte) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for l.outstanding >= l.limit && l.failure == nil {
		l.hasRoom.Wait()
	}
	l.outstanding++
	l.waiting = append(l.waiting, record)
	if len(l.waiting) == 1 {
		l.hasRecords.Signal()
	}
	return l.failure == nil
}

func (l *load) commitGroups() {
	defer l.ended.Done()
	for group := l.take(); len(group) > 0; group = l.take() {
		err := l.log.commit(group)
		if err == nil {
			l.acknowledged.Add(int64(len(group)))
		}
		if !l.settle(group, err) {
			return
		}
	}
}

// take waits for records; an empty group is the end.
func (l *load) take() [][]byte {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for len(l.waiting) == 0 && !l.isEnd {
		l.hasRecords.Wait()
	}
	group := l.waiting
	l.waiting = l.spare[:0]
	return group
}

func (l *load) settle(group [][]byte, err error) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.outstanding -= len(group)
	l.spare = group
	l.failure = err
	l.hasRoom.Signal()
	return err == nil
}

// readRecords makes records of one length from lines: a line, or as many in a row as are needed.
func readRecords(path string, recordBytes int) ([][]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	count := len(lines)
	if recordBytes > len(lines[0]) {
		count = 8 // larger ones hold many lines each: a few that differ are enough
	}
	records := make([][]byte, count)
	for n := range records {
		for at := n; len(records[n]) < recordBytes; at++ {
			records[n] = append(records[n], lines[at%len(lines)]...)
		}
		records[n] = records[n][:recordBytes]
	}
	if len(records[0]) != recordBytes {
		return nil, fmt.Errorf("no records of %d bytes in %s", recordBytes, path)
	}
	return records, nil
}
