package querylog

// Names says what the rule of a record is called. Implementations are asked by one goroutine, and answer from memory.
type Names interface {
	// Match resolves the rule of r (Set, Member, Zone) in the policy of that generation. It keeps nothing of r. ok is false if the
	// generation is not held any more.
	Match(generation uint64, r *Record) (m Match, ok bool)
}

// Match is what a rule is called.
type Match struct {
	Zone   string // the policy zone
	Feed   string // the feed that lists the name
	Family string // the malware family, empty if the feed has none
	Threat string // the threat type, empty if the feed has none
}

// matchesMax bounds the rules whose names are remembered; at the bound all are forgotten and asked for anew.
const matchesMax = 1 << 14

// matchKey is what decides the names of a rule.
type matchKey struct {
	generation   uint64
	set          uint32
	zone, member uint16
}

// matchCache remembers what rules are called, as the piece of JSON that stands in their lines. It belongs to the writer.
type matchCache struct {
	names  Names
	pieces map[matchKey][]byte
	buf    []byte
}

func (r *Record) key() matchKey { return matchKey{r.Generation, r.Set, r.Zone, r.Member} }

// piece returns the fields that name the rule of r, with a comma before each, valid until the next call. ok is false if they are not known now.
func (c *matchCache) piece(r *Record) (fields []byte, ok bool) {
	if c.names == nil {
		return nil, true
	}
	if p, ok := c.pieces[r.key()]; ok {
		return p, true
	}
	m, ok := c.names.Match(r.Generation, r)
	if !ok {
		return nil, false
	}
	c.buf = m.appendFields(c.buf[:0])
	c.remember(r.key())
	return c.buf, true
}

func (c *matchCache) remember(key matchKey) {
	if c.pieces == nil || len(c.pieces) >= matchesMax {
		c.pieces = map[matchKey][]byte{}
	}
	c.pieces[key] = append([]byte(nil), c.buf...)
}

func (m *Match) appendFields(b []byte) []byte {
	b = appendText(b, `,"zone":`, m.Zone)
	b = appendText(b, `,"feed":`, m.Feed)
	if m.Family != "" {
		b = appendText(b, `,"family":`, m.Family)
	}
	if m.Threat != "" {
		b = appendText(b, `,"threat":`, m.Threat)
	}
	return b
}
