package blocklist

import (
	"context"
	"errors"
)

// reader is the reading of one feed.
type reader struct {
	config FeedConfig
	sink   Sink
	report Report
}

func newReader(c FeedConfig, s Sink) (*reader, error) {
	return &reader{config: c, sink: s}, nil
}

func (r *reader) read(ctx context.Context) error {
	return errors.Join(ctx.Err())
}
