package main

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

const frameBytes = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fileLog is no product, but the least that a log has to do: length, CRC and bytes of each record
// in one growing file, one write and one fdatasync a group.
type fileLog struct {
	file   *os.File
	buffer []byte
}

func openFile(given options) (groupLog, error) {
	path := filepath.Join(given.dir, "log")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syncDirectory(given.dir); err != nil {
		return nil, err
	}
	return &fileLog{file: file}, nil
}

func (l *fileLog) commit(records [][]byte) error {
	l.buffer = l.buffer[:0]
	for _, record := range records {
		l.buffer = binary.LittleEndian.AppendUint32(l.buffer, uint32(len(record)))
		l.buffer = binary.LittleEndian.AppendUint32(l.buffer, crc32.Checksum(record, castagnoli))
		l.buffer = append(l.buffer, record...)
	}
	if _, err := l.file.Write(l.buffer); err != nil {
		return err
	}
	return syscall.Fdatasync(int(l.file.Fd()))
}

func (l *fileLog) count() (int64, error) {
	defer l.file.Close()
	if _, err := l.file.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	reader := bufio.NewReaderSize(l.file, 1<<20)
	var frame [frameBytes]byte
	var record []byte
	for found := int64(0); ; found++ {
		if _, err := io.ReadFull(reader, frame[:]); err == io.EOF {
			return found, nil
		} else if err != nil {
			return found, err
		}
		length := int(binary.LittleEndian.Uint32(frame[:4]))
		if cap(record) < length {
			record = make([]byte, length)
		}
		if _, err := io.ReadFull(reader, record[:length]); err != nil {
			return found, err
		}
		if crc32.Checksum(record[:length], castagnoli) != binary.LittleEndian.Uint32(frame[4:]) {
			return found, io.ErrUnexpectedEOF
		}
	}
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}
