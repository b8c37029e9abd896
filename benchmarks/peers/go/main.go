// Command peer appends records to a log of somebody else's and says how many became durable.
//
// Usage: peer -system tidwall -dir DIR -lines FILE -record-bytes 100 -outstanding 10000
// -warm-up-ms 1500 -measure-ms 5000. DIR is empty, FILE has one line of text per record. Prints one
// line of JSON: {"records":…,"seconds":…,"appended":…,"found":…}. Records are those acknowledged
// within the measured seconds; appended are all of them, and found is how many the log has when it
// is read back, after the clock was stopped.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

// A log that makes a group of records durable.
type groupLog interface {
	// commit returns once all records are on the disk, as far as the system promises that.
	commit(records [][]byte) error
	// count closes the log, reads it back and says how many records it has.
	count() (int64, error)
}

var systems = map[string]func(options) (groupLog, error){
	"file":    openFile,
	"tidwall": openTidwall,
	"etcd":    openEtcd,
}

type options struct {
	dir         string
	recordBytes int
	outstanding int
}

type result struct {
	Records  int64   `json:"records"`
	Seconds  float64 `json:"seconds"`
	Appended int64   `json:"appended"`
	Found    int64   `json:"found"`
}

func main() {
	var given options
	system := flag.String("system", "", "file, tidwall or etcd")
	lines := flag.String("lines", "", "file of lines")
	warmUpMs := flag.Int("warm-up-ms", 1500, "before anything is counted")
	measureMs := flag.Int("measure-ms", 5000, "what is counted")
	flag.StringVar(&given.dir, "dir", "", "empty directory")
	flag.IntVar(&given.recordBytes, "record-bytes", 100, "")
	flag.IntVar(&given.outstanding, "outstanding", 10_000, "records not yet acknowledged, at most")
	flag.Parse()
	measured, err := run(*system, *lines, given, time.Duration(*warmUpMs)*time.Millisecond,
		time.Duration(*measureMs)*time.Millisecond)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(measured)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(system, lines string, given options, warmUp, measure time.Duration) (*result, error) {
	open, isKnown := systems[system]
	if !isKnown {
		return nil, fmt.Errorf("there is no system %q", system)
	}
	records, err := readRecords(lines, given.recordBytes)
	if err != nil {
		return nil, err
	}
	log, err := open(given)
	if err != nil {
		return nil, err
	}
	load := newLoad(log, records, given.outstanding)
	load.start()
	time.Sleep(warmUp)
	before, started := load.acknowledged.Load(), time.Now()
	time.Sleep(measure)
	after, seconds := load.acknowledged.Load(), time.Since(started).Seconds()
	if err := load.stop(); err != nil {
		return nil, err
	}
	found, err := log.count()
	appended := load.acknowledged.Load()
	return &result{after - before, seconds, appended, found}, err
}
