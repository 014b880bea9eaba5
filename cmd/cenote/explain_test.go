package main

import "testing"

func TestNamesAsPeopleTypeThem(t *testing.T) {
	for name, want := range map[string]string{
		"WWW.example":          "WWW.example", // the server makes it canonical
		"MÜNCHEN.example":      "xn--mnchen-3ya.example",
		"_dmarc.münchen.test":  "_dmarc.xn--mnchen-3ya.test",
		"münchen。example":      "xn--mnchen-3ya.example",
		"xn--mnchen-3ya.test.": "xn--mnchen-3ya.test.",
		`a\032b.example`:       `a\032b.example`,
	} {
		if got, err := asciiName(name); got != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
	c := explainCommand{}
	if _, err := c.params(); err == nil {
		t.Error("no name is taken for one")
	}
}
