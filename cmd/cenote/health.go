package main

import (
	"context"
	"fmt"
	"time"

	"cenote/api"
)

// healthTimeout bounds the question, so that a supervisor's probe never hangs.
const healthTimeout = 3 * time.Second

type healthCommand struct {
	socketFlag
}

// Run asks the server whether it is ready to answer.
func (c *healthCommand) Run(ctx context.Context, std streams) error {
	client, err := c.client(healthTimeout)
	if err != nil {
		return err
	}
	var state api.Health
	if err := client.Get(ctx, "/readyz", nil, &state); err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out, "ready")
	return err
}
