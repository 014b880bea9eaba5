package policy_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cenote/policy"
)

func randomMember(r *rand.Rand) policy.Member {
	m := policy.Member{
		Feed: uint16(r.Uint32()), Family: r.Uint32(), Kind: policy.Kind(r.IntN(4)), Confidence: policy.ConfidenceUnknown, Exception: r.IntN(2) == 0,
	}
	if r.IntN(2) == 0 {
		m.Action, m.Threat, m.Confidence = policy.Action(r.IntN(int(policy.ActionDisabled)+1)), uint16(r.Uint32()), uint8(r.IntN(101))
	}
	if r.IntN(2) == 0 {
		m.Data, m.Expiry = r.Uint32(), r.Uint32()
	}
	return m
}

func TestSetsComeBackAsTheyWere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		members := make([]policy.Member, r.IntN(9))
		for i := range members {
			members[i] = randomMember(r)
		}
		got, err := policy.DecodeSet(policy.EncodeSet(members))
		if err != nil {
			t.Fatalf("DecodeSet of %+v: %v", members, err)
		}
		want := slices.Clone(members)
		slices.SortFunc(want, order)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Fatalf("DecodeSet = %+v, want %+v", got, want)
		}
	}
}

func TestEqualSetsAreEqualOctets(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	members := make([]policy.Member, 7)
	for i := range members {
		members[i] = randomMember(r)
	}
	want := string(policy.EncodeSet(members))
	for range 50 {
		r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		if got := string(policy.EncodeSet(append(members, members[0]))); got != want {
			t.Fatalf("EncodeSet of the same members in another order = %x, want %x", got, want)
		}
	}
}

func TestSetsAreSmall(t *testing.T) {
	usual := policy.Member{Feed: 3, Family: 2900, Kind: policy.KindSubtree, Confidence: policy.ConfidenceUnknown}
	if n := len(policy.EncodeSet([]policy.Member{usual})); n != 4 {
		t.Errorf("the usual set takes %d octets, want 4", n)
	}
}

func TestDecodeSetRefuses(t *testing.T) {
	member := policy.Member{Feed: 1, Family: 300, Action: policy.ActionDrop, Threat: 2, Confidence: 9, Data: 1, Expiry: 500_000}
	whole := policy.EncodeSet([]policy.Member{member})
	for n := 1; n < len(whole); n++ {
		if _, err := policy.DecodeSet(whole[:n]); !errors.Is(err, policy.ErrSet) {
			t.Errorf("cut to %d octets: %v, want %v", n, err, policy.ErrSet)
		}
	}
	for name, b := range map[string][]byte{
		"the same member twice": append(slices.Clone(whole), whole...),
		"an unknown action":     {1 << 3, 0, 0, 99},
		"a feed too large":      {0, 0xff, 0xff, 0xff, 0x7f, 0},
		"a long zero":           {0, 0x80, 0x00, 0},
		"a number without end":  {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		if _, err := policy.DecodeSet(b); !errors.Is(err, policy.ErrSet) {
			t.Errorf("%s: %v, want %v", name, err, policy.ErrSet)
		}
	}
	many := make([]policy.Member, policy.MembersMax+1)
	for i := range many {
		many[i].Family = uint32(i)
	}
	if _, err := policy.DecodeSet(policy.EncodeSet(many)); !errors.Is(err, policy.ErrSet) {
		t.Errorf("%d members: %v, want %v", len(many), err, policy.ErrSet)
	}
	if members, err := policy.DecodeSet(nil); err != nil || len(members) != 0 {
		t.Errorf("DecodeSet of nothing = %v, %v, want no members", members, err)
	}
}

// FuzzDecodeSet reads arbitrary octets: what is accepted is exactly what EncodeSet writes.
func FuzzDecodeSet(f *testing.F) {
	f.Add(policy.EncodeSet([]policy.Member{{Feed: 1, Family: 2, Kind: policy.KindENT}}))
	f.Add(policy.EncodeSet([]policy.Member{{Feed: math.MaxUint16, Family: math.MaxUint32, Threat: 3, Data: 4, Expiry: 5}, {}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		members, err := policy.DecodeSet(b)
		if err == nil && string(policy.EncodeSet(members)) != string(b) {
			t.Fatalf("%x was read as %+v, which is written %x", b, members, policy.EncodeSet(members))
		}
	})
}
