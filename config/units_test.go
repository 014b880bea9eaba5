package config_test

import (
	"testing"
	"time"

	"cenote/config"
)

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "300ms": 300 * time.Millisecond, "1h30m": 90 * time.Minute, "7d": 7 * day, "2w": 14 * day,
		"1w2d12h": 9*day + 12*time.Hour, "1.5h": 90 * time.Minute,
	} {
		got, err := config.ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q): got %v, %v, want %v", text, got, err, want)
		}
		again, err := config.ParseDuration(config.FormatDuration(got))
		if err != nil || again != want {
			t.Errorf("%q is written %q and read again as %v, %v", text, config.FormatDuration(got), again, err)
		}
	}
	for _, text := range []string{"", "5", "-1s", "1d-2h", "d", "1.5d", "5y", "1d1w", "999999999w", "15250w99999h", "1 d", "+1s2"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q): got %v, want an error", text, got)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "10s": 10 * time.Second, "5m": 5 * time.Minute, "12h": 12 * time.Hour, "1d12h": 36 * time.Hour, "1w": 7 * 24 * time.Hour,
		"1h30m": 90 * time.Minute, "200ms": 200 * time.Millisecond,
	} {
		if got := config.FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%d): got %s, want %s", d, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0B": 0, "512B": 512, "64KiB": 64 << 10, "1.5MiB": 3 << 19, "2GiB": 2 << 30, "10 MB": 10_000_000,
	} {
		got, err := config.ParseSize(text)
		if err != nil || got != want {
			t.Errorf("ParseSize(%q): got %d, %v, want %d", text, got, err, want)
		}
		if again, err := config.ParseSize(got.String()); err != nil || again != want {
			t.Errorf("%q is written %q and read again as %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "5", "-1B", "MiB", "5mib", "1e30PiB", "NaNB", "8192PiB"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q): got %d, want an error", text, got)
		}
	}
}

func TestPercentAndRate(t *testing.T) {
	if got, err := config.ParsePercent("12.5%"); err != nil || got != 12.5 || got.String() != "12.5%" || got.Share() != 0.125 {
		t.Errorf("12.5%%: got %v, %v", got, err)
	}
	for _, text := range []string{"", "%", "5", "-1%", "100.1%", "NaN%"} {
		if got, err := config.ParsePercent(text); err == nil {
			t.Errorf("ParsePercent(%q): got %v, want an error", text, got)
		}
	}
	if got, err := config.ParseGrowth("1000%"); err != nil || got.String() != "1000%" || got.Share() != 10 {
		t.Errorf("1000%%: got %v, %v", got, err)
	}
	for _, text := range []string{"", "%", "5", "-1%", "1e9%", "NaN%"} {
		if got, err := config.ParseGrowth(text); err == nil {
			t.Errorf("ParseGrowth(%q): got %v, want an error", text, got)
		}
	}
	for text, want := range map[string]string{"200/s": "200/s", "30/m": "1800/h", "120/m": "2/s", "10/h": "10/h", "0/s": "0/s"} {
		got, err := config.ParseRate(text)
		if err != nil || got.String() != want {
			t.Errorf("ParseRate(%q): got %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "5/d", "/s", "-5/s", "Inf/s", "NaN/s"} {
		if got, err := config.ParseRate(text); err == nil {
			t.Errorf("ParseRate(%q): got %v, want an error", text, got)
		}
	}
}

func TestEDECodes(t *testing.T) {
	for ede, want := range map[config.EDE]uint16{
		config.EDEForgedAnswer: 4, config.EDEBlocked: 15, config.EDECensored: 16, config.EDEFiltered: 17, config.EDEProhibited: 18,
	} {
		if got, ok := ede.Code(); got != want || !ok {
			t.Errorf("%s: got %d, %v, want %d", ede, got, ok, want)
		}
	}
	if _, ok := config.EDENone.Code(); ok {
		t.Error("none has a code")
	}
}

func TestMode(t *testing.T) {
	for text, want := range map[string]config.Mode{"0660": 0o660, "660": 0o660, "0o600": 0o600} {
		got, err := config.ParseMode(text)
		if err != nil || got != want {
			t.Errorf("ParseMode(%q): got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "9", "1777", "rw", "-1"} {
		if got, err := config.ParseMode(text); err == nil {
			t.Errorf("ParseMode(%q): got %v, want an error", text, got)
		}
	}
}
