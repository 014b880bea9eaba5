package zone

import (
	"os"
	"path/filepath"
)

// appendSynced appends to a file that is there, and has it on the disk.
func appendSynced(path string, octets []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(octets); err != nil {
		return err
	}
	return f.Sync()
}

// replaceSynced puts a file in the place of another one, or of none, and has it on the disk.
func replaceSynced(path string, octets []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(octets)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}
