package querylog_test

import (
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/querylog"
)

// TestKeysAreNamed: a line names the key of its query, also after others have come, and one that is not signed names none.
func TestKeysAreNamed(t *testing.T) {
	e := querylog.NewEncoder(nil)
	branch, odd := dnsname.MustParse("branch.example"), dnsname.MustParse(`a\"b.example`)
	numbers := []uint16{e.KeyNumber(""), e.KeyNumber(branch), e.KeyNumber(odd), e.KeyNumber(branch)}
	if numbers[0] != 0 || numbers[1] == 0 || numbers[1] == numbers[2] || numbers[1] != numbers[3] {
		t.Fatalf("numbers = %d", numbers)
	}
	for i, want := range []string{"", `,"key":"branch.example","name"`, `,"key":"a\\034b.example","name"`} {
		r := query("www.example")
		r.Key = numbers[i]
		if got := string(e.AppendLine(nil, &r)); !strings.Contains(got, want) || strings.Contains(got, `"key"`) != (want != "") {
			t.Errorf("line = %s want %s", got, want)
		}
	}
	r := query("www.example")
	if r.Key = 9; strings.Contains(string(e.AppendLine(nil, &r)), `"key"`) {
		t.Error("a key that nobody has is named")
	}
}

// TestListedOnTheWay: a line tells what is listed of a name that the answer leads to.
func TestListedOnTheWay(t *testing.T) {
	e := querylog.NewEncoder(nil)
	r := matched("www.example", 2)
	r.Stage, r.ListedLen = 1, uint8(copy(r.ListedName[:], dnsname.MustParse("bad.example")))
	if got := string(e.AppendLine(nil, &r)); !strings.Contains(got, `,"stage":1,"listed":"bad.example","verified"`) {
		t.Errorf("line = %s, want what is listed of a name of the answer", got)
	}
}
