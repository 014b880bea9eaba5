package blocklist

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cenote/dnsname"
	"cenote/policy"

	"github.com/miekg/dns"
)

// readRPZ reads a response policy zone as a file (RFC 1035 section 5, RPZ draft section 3). A zone that does not begin with a SOA or has no NS at its apex is refused as a whole, a record that cannot be
// used is refused alone. $INCLUDE is never followed and $GENERATE never expanded.
func readRPZ(f *file) error {
	z := &zone{file: f, records: &masterFile{file: f}, seed: maphash.MakeSeed(), owners: map[uint64]deed{}, data: map[dnsname.Name]*localData{}}
	if err := z.setApex(f.config.Zone); err != nil {
		return err
	}
	for {
		rec, err := z.records.next()
		if err == io.EOF {
			return z.end()
		}
		if err != nil {
			return err
		}
		if err := z.record(rec); err != nil {
			return err
		}
	}
}

// zone is a policy zone while it is read. Names before the first SOA are relative to origin. Where nobody says the apex, it is empty: then
// every relative name is a trigger as it stands, and an absolute one cannot be placed.
type zone struct {
	*file
	records *masterFile
	apex    dnsname.Name // absolute, canonical; "" while unknown
	origin  dnsname.Name // what relative names end with; "" for the unknown apex
	within  []byte       // the labels of origin above the apex, without the root's octet
	ttl     uint32       // seconds, of records without their own
	ttlSet  bool         // by $TTL; otherwise the last one that a record gave holds (RFC 1035 section 5.1)
	owner   trigger      // of the last record: a line that begins with a blank has the same
	soa, ns bool
	seed    maphash.Seed
	owners  map[uint64]deed // what each owner's records do, by a hash of its name; see claim
	data    map[dnsname.Name]*localData
	key     []byte // of the present owner; see setKey
	buf     []byte // RDATA of the present record
	packed  []byte // the present record as the DNS library packs it
}

// trigger is an owner name relative to the apex, canonical, with the root's octet.
type trigger struct {
	wire   [dnsname.WireMax + 1]byte
	size   int
	labels int
	why    Reason // why the owner is none
}

func (t *trigger) name() []byte { return t.wire[:t.size] }

// deed is what an owner's records do.
type deed uint8

const (
	deedNone deed = iota
	deedNXDOMAIN
	deedNODATA
	deedPassthru
	deedDrop
	deedTCPOnly
	deedCNAME
	deedData
)

func (d deed) action() policy.Action {
	switch d {
	case deedNXDOMAIN:
		return policy.ActionNXDOMAIN
	case deedNODATA:
		return policy.ActionNODATA
	case deedPassthru:
		return policy.ActionPassthru
	case deedDrop:
		return policy.ActionDrop
	case deedTCPOnly:
		return policy.ActionTCPOnly
	case deedCNAME, deedData:
		return policy.ActionLocalData
	case deedNone:
	}
	return policy.ActionDefault
}

// localData gathers the records of one owner until the end of the file, since they need not stand together.
type localData struct {
	line    int // of the first record
	comment string
	records int
	data    policy.LocalData
}

// recordsMax is how many records of local data one owner may have; BIND takes 100 of a type.
const recordsMax = 256

func (z *zone) setApex(name string) error {
	if name == "" {
		return nil
	}
	apex, err := dnsname.Parse(name)
	if err != nil {
		return fmt.Errorf("apex of the policy zone: %w", err)
	}
	z.apex, z.origin = apex.Canonical(), apex.Canonical()
	return nil
}

// invalid refuses the whole zone.
func (z *zone) invalid(why string) error {
	return &SourceError{File: z.name, Err: fmt.Errorf("%w: %s", ErrZone, why), Next: "fetch it again, or set format if it is something else"}
}

func (z *zone) end() error {
	switch {
	case z.failed != nil:
		return z.failed
	case !z.soa:
		return z.invalid("it has no SOA")
	case !z.ns:
		return z.invalid("it has no NS at its apex")
	}
	z.flush()
	return z.failed
}

// record takes one entry of the file; only what refuses the whole zone is an error.
func (z *zone) record(rec *masterRecord) error {
	if rec.broken {
		if !rec.sameOwner {
			z.owner.why = ReasonSyntax // what follows without an owner must not get the one before
		}
		z.refuseAt(rec.line, ReasonSyntax, rec.text)
		return nil
	}
	if !rec.sameOwner && rec.words[0][0] == '$' {
		return z.directive(rec)
	}
	kind, ok := z.head(rec)
	if !ok {
		z.refuseAt(rec.line, ReasonSyntax, rec.text)
		return nil
	}
	if !z.soa {
		return z.first(rec, kind)
	}
	z.rule(rec, kind)
	return nil
}

func (z *zone) directive(rec *masterRecord) error {
	why := ReasonSyntax
	switch word := rec.words[0]; {
	case equalFold(word, "$origin"):
		return z.setOrigin(rec.words[1:])
	case equalFold(word, "$ttl") && len(rec.words) == 2:
		if ttl, ok := readTTL(rec.words[1]); ok {
			z.ttl, z.ttlSet, why = ttl, true, ReasonNone
		}
	case equalFold(word, "$include"):
		why = ReasonInclude
	case equalFold(word, "$generate"):
		why = ReasonGenerate
	}
	if why != ReasonNone {
		z.refuseAt(rec.line, why, rec.text)
	}
	return nil
}

// setOrigin takes $ORIGIN. One outside the zone is kept, so that the names after it are refused as outside; one that cannot be read would put
// every name after it in the wrong place.
func (z *zone) setOrigin(words [][]byte) error {
	if len(words) != 1 {
		return z.invalid("its $ORIGIN cannot be read")
	}
	var wire [2 * dnsname.WireMax]byte
	name, absolute, why := masterName(wire[:0], words[0])
	if !absolute {
		name = append(name, z.origin...)
	} else if why == ReasonNone {
		name = append(name, 0)
	}
	if why != ReasonNone || len(name) > dnsname.WireMax || !absolute && z.origin == "" {
		return z.invalid("its $ORIGIN cannot be read, or is relative to nothing")
	}
	z.origin = dnsname.Name(name).Canonical()
	z.placeOrigin()
	return nil
}

// placeOrigin keeps the labels of the origin that lie between it and the apex.
func (z *zone) placeOrigin() {
	z.within = z.within[:0]
	if z.apex != "" && z.origin.IsBelow(z.apex) {
		z.within = append(z.within, z.origin[:len(z.origin)-len(z.apex)]...)
	}
}

// head reads owner, TTL, class and type, and leaves the RDATA in rec.words.
func (z *zone) head(rec *masterRecord) (kind uint16, ok bool) {
	words := rec.words
	if !rec.sameOwner {
		if z.soa {
			z.setOwner(words[0])
		}
		rec.owner, words = words[0], words[1:]
	} else if z.soa && z.owner.size == 0 && z.owner.why == ReasonNone {
		return 0, false
	}
	rec.ttl = z.ttl
	for range 2 { // TTL and class in either order
		if len(words) == 0 {
			return 0, false
		}
		if ttl, ok := readTTL(words[0]); ok {
			rec.ttl, words = ttl, words[1:]
			if !z.ttlSet {
				z.ttl = ttl
			}
		} else if equalFold(words[0], "in") {
			words = words[1:]
		}
	}
	if len(words) == 0 {
		return 0, false
	}
	rec.rdata = words[1:]
	return recordType(words[0])
}

func recordType(word []byte) (uint16, bool) {
	if equalFold(word, "cname") {
		return dns.TypeCNAME, true
	}
	name := strings.ToUpper(string(word))
	if kind, ok := dns.StringToType[name]; ok {
		return kind, true
	}
	number, ok := strings.CutPrefix(name, "TYPE")
	kind, err := strconv.ParseUint(number, 10, 16)
	return uint16(kind), ok && err == nil
}

// setOwner makes a trigger of an owner name as it is written.
func (z *zone) setOwner(text []byte) {
	t := &z.owner
	t.size, t.labels, t.why = 0, 0, ReasonNone
	labels, absolute, why := masterName(t.wire[:0], text)
	switch {
	case why != ReasonNone:
		t.why = why
		return
	case absolute:
		labels = z.cutApex(labels)
	default:
		labels = z.relative(labels)
	}
	if labels == nil {
		t.why = ReasonOutOfZone
		return
	}
	if len(labels)+1 > dnsname.WireMax {
		t.why = ReasonTooLong
		return
	}
	t.size = copy(t.wire[:], labels) + 1
	t.wire[t.size-1] = 0
	dnsname.Lower(t.name(), t.name())
	_, t.labels, _ = dnsname.Check(t.name())
}

// relative adds what lies between the origin and the apex. Where the origin is above the apex, the labels may still lead into the zone; nil if
// they do not.
func (z *zone) relative(labels []byte) []byte {
	switch {
	case z.origin == z.apex, z.apex != "" && z.origin.IsBelow(z.apex):
		return append(labels, z.within...)
	case z.origin == "" || len(labels)+len(z.origin) > dnsname.WireMax:
		return nil
	}
	return z.cutApex(append(labels, z.origin[:len(z.origin)-1]...))
}

// cutApex takes the apex off absolute labels; nil if they do not end with it.
func (z *zone) cutApex(labels []byte) []byte {
	if z.apex == "" {
		return nil
	}
	full := dnsname.Name(append(bytes.Clone(labels), 0)).Canonical()
	if full != z.apex && !full.IsBelow(z.apex) {
		return nil
	}
	return labels[:len(full)-len(z.apex)]
}

// first takes the record with which a zone begins, its SOA.
func (z *zone) first(rec *masterRecord, kind uint16) error {
	if kind != dns.TypeSOA || rec.sameOwner {
		return z.invalid("its first record is no SOA")
	}
	serial, expire, minimum, ok := readSOA(rec.rdata)
	if !ok {
		return z.invalid("its SOA cannot be read")
	}
	z.report.Serial, z.report.Expire, z.soa = serial, expire, true
	if z.ttl == 0 && !z.ttlSet {
		z.ttl = minimum
	}
	if err := z.findApex(rec.owner); err != nil {
		return err
	}
	whole := *rec
	whole.text = nil // which may have several lines
	if why := z.readOther(&whole, kind); why == ReasonNone {
		z.report.SOA = &policy.SOA{Name: []byte(z.apex), TTL: rec.ttl, Data: bytes.Clone(z.buf)}
	}
	z.setOwner(rec.owner)
	z.skip()
	return nil
}

// findApex settles the apex by the owner of the SOA, unless it is configured; then they must agree.
func (z *zone) findApex(owner []byte) error {
	var wire [dnsname.WireMax + 1]byte
	labels, absolute, why := masterName(wire[:0], owner)
	if why != ReasonNone {
		return z.invalid("the owner of its SOA is no name")
	}
	if !absolute {
		if z.origin == "" && len(labels) > 0 {
			return z.invalid("the owner of its SOA is relative to nothing; set zone to its apex")
		}
		labels = append(labels, z.origin...)
	} else {
		labels = append(labels, 0)
	}
	if len(labels) > dnsname.WireMax {
		return z.invalid("the owner of its SOA is too long")
	}
	apex := dnsname.Name(labels).Canonical()
	if z.config.Zone != "" && apex != z.apex {
		return z.invalid("its SOA belongs to " + apex.String() + " and not to " + z.apex.String())
	}
	z.apex = apex
	if z.origin == "" {
		z.origin = apex
	}
	z.placeOrigin()
	return nil
}

// readSOA checks the seven fields of a SOA and returns three of them.
func readSOA(rdata [][]byte) (serial, expire, minimum uint32, ok bool) {
	if len(rdata) != 7 {
		return 0, 0, 0, false
	}
	number, err := strconv.ParseUint(string(rdata[2]), 10, 32)
	if err != nil {
		return 0, 0, 0, false
	}
	for _, timer := range rdata[3:] {
		expire = minimum
		if minimum, ok = readTTL(timer); !ok {
			return 0, 0, 0, false
		}
	}
	return uint32(number), expire, minimum, true
}

// rule takes a record after the SOA.
func (z *zone) rule(rec *masterRecord, kind uint16) {
	t := &z.owner
	switch {
	case isDNSSECType(kind), kind == dns.TypeNS && t.why == ReasonNone && t.labels == 0:
		z.ns = z.ns || kind == dns.TypeNS
		z.skip()
	case t.why != ReasonNone:
		z.refuseAt(rec.line, t.why, rec.text)
	case kind == dns.TypeNS, kind == dns.TypeDNAME, kind == dns.TypeSOA: // never rules, the draft's section 3
		z.refuseAt(rec.line, ReasonNotADNSRule, rec.text)
	case t.labels == 0:
		z.refuseAt(rec.line, ReasonRoot, rec.text)
	default:
		z.dispatch(rec, kind)
	}
}

func isDNSSECType(kind uint16) bool {
	switch kind {
	case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM, dns.TypeDNSKEY, dns.TypeDS, dns.TypeCDS, dns.TypeCDNSKEY,
		dns.TypeZONEMD, dns.TypeSIG, dns.TypeKEY, dns.TypeNXT:
		return true
	}
	return false
}

// dispatch tells the triggers by the owner's last label: a query name has none of those that begin with "rpz-".
func (z *zone) dispatch(rec *masterRecord, kind uint16) {
	if why := z.setKey(); why != ReasonNone {
		z.refuseAt(rec.line, why, rec.text)
		return
	}
	do, why := z.deed(rec, kind)
	if why == ReasonNone {
		why = z.claim(do)
	}
	switch {
	case why != ReasonNone:
		z.refuseAt(rec.line, why, rec.text)
	case do == deedCNAME || do == deedData:
		z.gather(rec, kind)
	default:
		z.row = z.start
		z.row.Line, z.row.Comment, z.row.Action = rec.line, z.text(rec.comment), do.action()
		z.serveTrigger(z.key, rec.text)
	}
}

// setKey makes the key of the present owner, as policy has it; "*." before it stays.
func (z *zone) setKey() Reason {
	owner := z.owner.name()
	last := lastLabel(owner)
	labels := owner[:len(owner)-len(last)-2]
	z.key = append(z.key[:0], owner...)
	if !bytes.HasPrefix(last, []byte("rpz-")) {
		return ReasonNone
	}
	switch t := triggerOf(string(last)); {
	case t.ByAddress():
		prefix, err := policy.ParsePrefix(labels, true)
		if err != nil && z.config.Lenient {
			if prefix, err = policy.ParsePrefix(labels, false); err == nil {
				z.report.Loose++
			}
		}
		if err != nil {
			return ReasonBadAddress
		}
		z.key = policy.AppendPrefixKey(z.key[:0], t, prefix)
	case t == policy.TriggerNSDNAME && len(labels) == 0:
		return ReasonRoot
	case t == policy.TriggerNSDNAME:
		z.key, _ = policy.AppendNameKey(z.key[:0], append(bytes.Clone(labels), 0)) // as long as the owner
	default:
		return ReasonSyntax
	}
	return ReasonNone
}

func triggerOf(label string) policy.Trigger {
	switch label {
	case "rpz-client-ip":
		return policy.TriggerClientIP
	case "rpz-ip":
		return policy.TriggerIP
	case "rpz-nsdname":
		return policy.TriggerNSDNAME
	case "rpz-nsip":
		return policy.TriggerNSIP
	}
	return policy.TriggerNone
}

func lastLabel(name []byte) []byte {
	at := 0
	for i := 0; name[i] != 0; i += 1 + int(name[i]) {
		at = i
	}
	return name[at+1 : at+1+int(name[at])]
}

// claim notes what an owner's records do; one owner does one thing. Owners are told apart by 64 bits of a hash, since ten million names would
// not fit: two of a million are taken for one in one zone out of forty million, and then the later row is refused and reported.
func (z *zone) claim(do deed) Reason {
	key := maphash.Bytes(z.seed, z.owner.name())
	switch before := z.owners[key]; {
	case before == deedNone:
		z.owners[key] = do
	case before != do:
		return ReasonConflict
	}
	return ReasonNone
}

// serveTrigger serves the row under a key: "*.name" is what lies below name.
func (z *zone) serveTrigger(key, text []byte) {
	kind := policy.KindExact
	if key[0] == 1 && key[1] == '*' {
		key, kind = key[2:], policy.KindBelow
	}
	trigger := policy.TriggerOf(key)
	if trigger == policy.TriggerQNAME {
		z.serve(key, dnsname.Name(key).Labels(), kind, text)
		return
	}
	v := z.guardedServer(key, trigger, kind)
	if v.why != ReasonNone {
		z.refuseBy(z.row.Line, v, text)
		return
	}
	if v.name != "" {
		z.note(&v, text)
	}
	z.serveKey(key, trigger, kind)
}

// guardedServer says what the guards make of the key of a name server: its name is guarded as a query name is.
func (z *zone) guardedServer(key []byte, trigger policy.Trigger, kind policy.Kind) verdict {
	if trigger != policy.TriggerNSDNAME {
		return verdict{}
	}
	name := append(bytes.Clone(key[:len(key)-len(lastLabel(key))-2]), 0)
	return z.guarded(name, dnsname.Name(name).Labels(), kind)
}

// deed reads the action of a record; for local data it leaves the RDATA in z.buf.
func (z *zone) deed(rec *masterRecord, kind uint16) (deed, Reason) {
	if kind != dns.TypeCNAME {
		return deedData, z.readData(rec, kind)
	}
	if len(rec.rdata) != 1 {
		return deedNone, ReasonSyntax
	}
	return z.target(rec.rdata[0])
}

// target reads the target of a CNAME, which is an action or local data.
func (z *zone) target(text []byte) (deed, Reason) {
	switch string(text) {
	case ".":
		return deedNXDOMAIN, ReasonNone
	case "*.":
		return deedNODATA, ReasonNone
	}
	name, absolute, why := masterName(z.buf[:0], text)
	if why != ReasonNone {
		return deedNone, why
	}
	if !absolute {
		return z.relativeTarget(name)
	}
	name = append(name, 0)
	dnsname.Lower(name, name)
	z.buf = name
	if string(name) == "\x01*\x00" { // escaped
		return deedNODATA, ReasonNone
	}
	if bytes.Equal(name, z.owner.name()) { // how PASSTHRU was written before it had a name
		return deedPassthru, ReasonNone
	}
	if last := lastLabel(name); bytes.HasPrefix(last, []byte("rpz-")) {
		return namedAction(name)
	}
	return deedCNAME, ReasonNone
}

// relativeTarget completes a target without a final dot. An action written so is a slip that would turn into local data under the apex.
func (z *zone) relativeTarget(name []byte) (deed, Reason) {
	if len(name) > 0 {
		last := lastLabel(append(name, 0))
		if len(last) >= 4 && equalFold(last[:4], "rpz-") {
			return deedNone, ReasonBadAction
		}
	}
	if z.origin == "" {
		return deedNone, ReasonOutOfZone
	}
	name = append(name, z.origin...)
	if len(name) > dnsname.WireMax {
		return deedNone, ReasonTooLong
	}
	dnsname.Lower(name, name)
	z.buf = name
	return deedCNAME, ReasonNone
}

func namedAction(name []byte) (deed, Reason) {
	switch string(name) {
	case "\x0crpz-passthru\x00":
		return deedPassthru, ReasonNone
	case "\x08rpz-drop\x00":
		return deedDrop, ReasonNone
	case "\x0crpz-tcp-only\x00":
		return deedTCPOnly, ReasonNone
	}
	return deedNone, ReasonBadAction
}

// readData reads the RDATA of local data into z.buf, in wire form.
func (z *zone) readData(rec *masterRecord, kind uint16) Reason {
	if kind == dns.TypeA || kind == dns.TypeAAAA {
		if len(rec.rdata) != 1 {
			return ReasonSyntax
		}
		addr, err := netip.ParseAddr(string(rec.rdata[0]))
		if err != nil || addr.Is4() != (kind == dns.TypeA) || addr.Zone() != "" {
			return ReasonSyntax
		}
		z.buf = append(z.buf[:0], addr.AsSlice()...)
		return ReasonNone
	}
	return z.readOther(rec, kind)
}

// readOther leaves the less usual types to the DNS library. It sees one record under a name of ours, so no directive and no second
// record can come in, and it may open no file.
func (z *zone) readOther(rec *masterRecord, kind uint16) Reason {
	if bytes.IndexByte(rec.text, '\n') >= 0 {
		return ReasonSyntax
	}
	origin := "."
	if z.origin != "" {
		origin = z.origin.String() + "."
	}
	text := ". 0 IN " + dns.Type(kind).String() + " " + string(bytes.Join(rec.rdata, []byte(" "))) + "\n"
	parser := dns.NewZoneParser(strings.NewReader(text), origin, "")
	parser.SetIncludeAllowed(false)
	rr, ok := parser.Next()
	if _, more := parser.Next(); !ok || more || parser.Err() != nil || rr.Header().Rrtype != kind {
		return ReasonSyntax
	}
	if z.packed == nil {
		z.packed = make([]byte, dns.MaxMsgSize)
	}
	n, err := dns.PackRR(rr, z.packed, 0, nil, false)
	const fixed = 1 + 2 + 2 + 4 + 2 // root owner, type, class, TTL, length
	if err != nil || n < fixed || int(binary.BigEndian.Uint16(z.packed[fixed-2:])) != n-fixed {
		return ReasonSyntax
	}
	z.buf = append(z.buf[:0], z.packed[fixed:n]...)
	return ReasonNone
}

// gather keeps a record of local data until the end of the file.
func (z *zone) gather(rec *masterRecord, kind uint16) {
	name := dnsname.Name(z.key)
	d := z.data[name]
	if d == nil {
		d = &localData{line: rec.line, comment: z.text(rec.comment)}
		z.data[name] = d
	}
	if kind == dns.TypeCNAME && len(d.data.RRsets) > 0 && !bytes.Equal(d.data.RRsets[0].RData[0], z.buf) {
		z.refuseAt(rec.line, ReasonConflict, rec.text) // an owner has one CNAME
		return
	}
	if d.records++; d.records > recordsMax {
		z.refuseAt(rec.line, ReasonTooManyRecords, rec.text)
		return
	}
	d.add(kind, rec.ttl, z.buf)
}

// add puts a record to its RRset; all of a set have the smallest TTL (RFC 2181 section 5.2), and the same record twice is one.
func (d *localData) add(kind uint16, ttl uint32, rdata []byte) {
	i, found := slices.BinarySearchFunc(d.data.RRsets, kind, func(s policy.RRset, kind uint16) int { return cmp.Compare(s.Type, kind) })
	if !found {
		d.data.RRsets = slices.Insert(d.data.RRsets, i, policy.RRset{Type: kind, TTL: ttl})
	}
	set := &d.data.RRsets[i]
	set.TTL = min(set.TTL, ttl)
	if !slices.ContainsFunc(set.RData, func(r []byte) bool { return bytes.Equal(r, rdata) }) {
		set.RData = append(set.RData, bytes.Clone(rdata))
	}
}

// flush serves the local data in the order of the file.
func (z *zone) flush() {
	names := make([]dnsname.Name, 0, len(z.data))
	for name := range z.data {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b dnsname.Name) int {
		return cmp.Or(cmp.Compare(z.data[a].line, z.data[b].line), cmp.Compare(a, b))
	})
	for _, name := range names {
		d := z.data[name]
		z.row = z.start
		z.row.Line, z.row.Comment, z.row.Action, z.row.Data = d.line, d.comment, policy.ActionLocalData, &d.data
		z.serveTrigger([]byte(name), []byte(name.String()))
	}
}

func looksRPZ(line []byte) evidence {
	if line[0] == '$' {
		word, _ := field(line)
		if equalFold(word, "$ttl") || equalFold(word, "$origin") {
			return evidenceSignature
		}
		return evidenceNone
	}
	for rest := line; len(rest) > 0; {
		var word []byte
		word, rest = field(rest)
		switch {
		case equalFold(word, "soa"):
			return evidenceSignature
		case equalFold(word, "cname"):
			return evidenceRow
		}
	}
	return evidenceNone
}
