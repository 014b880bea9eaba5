package config

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"cenote/dnsname"
)

// OwnZone is a zone that is served with authority, from a file or from other servers.
type OwnZone struct {
	// Name is the apex of the zone.
	Name dnsname.Name `yaml:"name" required:"true" example:"corp.example"`
	// File is the master file (RFC 1035) with the zone's records. It is read again within two seconds of a change, however it is made, unless it is of 1 MiB or more and another such zone is being read or signed, which goes one after the other and beside the rest; of more than a thousand files, one
	// of whose change the kernel does not tell, as on file systems of other hosts, within ten seconds. Put a new file in place by renaming it, so that nobody sees half of it: a file that changes while it is read is not taken, and one whose last line has no end is read only
	// when it has stayed so for ten seconds, but of one that pauses between two lines nobody can know. A file with faults, or with a serial that goes back,
	// changes nothing: the last good state is served. A zone has either it, or `policy`, or `primaries`, or `catalog`.
	File Path `yaml:"file" either:"source" shown:"true" example:"/etc/cenote/zones/corp.example"`
	// Policy makes the zone of what the policy decides, as a response policy zone (RPZ) for other resolvers, which take it by transfer. It follows the policy,
	// and its serial changes when its records do. Nobody may ask for its names unless `allow` or `allow_transfer` says so. See docs/export.md.
	Policy PolicyZone `yaml:"policy" either:"source"`
	// ZONEMD says what is wanted of the digest of the zone as a whole (RFC 8976). `check` wants one that is there to be right; and where validation is on
	// and a trust anchor or the DS records of the parent say that the zone is signed, it has to be signed so, too. `require` wants that there is one. `log`
	// tells of what is wrong and serves the zone all the same. `off` does not look at it.
	ZONEMD Verify `yaml:"zonemd" default:"check"`
	// Primaries are the servers that the zone is taken from, in place of `file`: the first that has an answer counts. They are asked as often as the SOA record
	// says, for what has changed (IXFR) or for all of it (AXFR). The zone is kept in the state directory and served at a start without them; once none
	// has confirmed it for as long as its SOA record lets it be (expire), its names get SERVFAIL. While it is frozen (`cenote zones freeze`) nothing is taken, and
	// it does not expire.
	Primaries []Primary `yaml:"primaries" either:"source"`
	// Catalog makes the zone a catalog (RFC 9432) of zones that are served here: the secondaries that take it serve them too, without a word in their own
	// configuration. Nobody may ask for its names unless `allow` or `allow_transfer` says so. See docs/catalogs.md.
	Catalog ZoneCatalog `yaml:"catalog" either:"source"`
	// NotifyFrom are further networks from which it is heard that the zone has changed at a primary (NOTIFY, RFC 1996), such as those of another address of
	// one. It is heard from the primaries as they are named, from everywhere that `access` admits if it is signed by the key of one, and from nobody else.
	NotifyFrom []netip.Prefix `yaml:"notify_from" example:"[192.0.2.55/32]"`
	// Transfer bounds one transfer of the zone. What goes over a bound changes nothing.
	Transfer TransferBounds `yaml:"transfer"`
	// Allow are the networks that may ask for names of the zone, in place of those of `access`. Those that `access` does not admit get answers from this
	// zone alone, without recursion; to serve it to the world, write `[0.0.0.0/0, '::/0']`.
	Allow []netip.Prefix `yaml:"allow" example:"[0.0.0.0/0, '::/0']"`
	// AllowTransfer are the networks whose servers may take the zone whole (AXFR, RFC 5936) or what has changed in it (IXFR, RFC 1995), whatever `allow` and
	// `access` say. Nobody else may: the default is nobody.
	AllowTransfer []netip.Prefix `yaml:"allow_transfer" example:"[192.0.2.53/32, '2001:db8::53/128']"`
	// TransferKeys are the names of keys by one of which such a request has to be signed (TSIG), beside coming from there. Without any it need not be signed.
	TransferKeys []dnsname.Name `yaml:"transfer_keys" example:"[transfer.corp.example]"`
	// RequireTLS has the zone sent over TLS alone (RFC 9103), so that nobody reads it on the way; see `listen[].tls`.
	RequireTLS bool `yaml:"require_tls" default:"false"`
	// Notify are the secondaries that are told when the zone has changed (NOTIFY, RFC 1996), and again until they confirm it. There is no other list: the
	// zone's NS records are told nothing, since many a private zone has names there that nobody answers for.
	Notify []Notified `yaml:"notify"`
	// Update lets holders of keys change the zone by messages (RFC 2136), as `nsupdate` and DHCP servers send them.
	Update ZoneUpdate `yaml:"update"`
	// Sign has the server sign the zone (DNSSEC); `sign: {enabled: true}` is all that it takes. A zone from `primaries` that do not sign it is signed here on its way
	// to those who ask and to further secondaries.
	Sign ZoneSign `yaml:"sign"`
	// Group is the group of the zone: catalogs of that group list it, and tell its secondaries the group.
	Group string `yaml:"group" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"edge"`
	// COO is the catalog to which the other ones that list the zone hand it over (coo, change of ownership), of this server or of another one. Once all
	// secondaries have followed, the zone can leave the old catalog.
	COO dnsname.Name `yaml:"coo" example:"catalog2.corp.example"`
	// Members has the zone taken for a catalog whose zones are served here as well, from its primaries; `members: {enabled: true}` is all that it takes.
	Members ZoneMembers `yaml:"members"`
}

// Primary is a server that a zone is taken from.
type Primary struct {
	// Address is the IP address and port of the server. Without a port it is 53.
	Address netip.AddrPort `yaml:"address" port:"53" required:"true" short:"true" example:"192.0.2.54:53"`
	// Key is the name of the key under `keys` that signs what is asked. What comes is then taken only if it is signed by it as well.
	Key dnsname.Name `yaml:"key" example:"transfer.corp.example"`
	// TLS is the name in the certificate of the server, which is then asked by TLS 1.3 alone (RFC 9103, mostly at port 853), and not at all if its
	// certificate is not for that name.
	TLS string `yaml:"tls" pattern:"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?[.]?)+$" example:"primary.corp.example"`
	// CAFile holds the certificates, as PEM, that may vouch for the server in place of those that the host trusts.
	CAFile Path `yaml:"ca_file" example:"/etc/cenote/primaries-ca.pem"`
	// Pins are the keys of which the server's certificate must have one: the SHA-256 of each (SubjectPublicKeyInfo) in base64, as `openssl x509 -in cert.pem -pubkey
	// -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64` prints it. Without `tls` that is all that is wanted of the
	// certificate, whoever vouches for it, and the server is asked by TLS 1.3 alone. A second pin is for the key that comes next.
	Pins []string `yaml:"pins" pattern:"^[A-Za-z0-9+/]{43}=$" example:"['47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=']"`
}

// Encrypted reports whether the server is asked by TLS.
func (p Primary) Encrypted() bool { return p.TLS != "" || len(p.Pins) > 0 }

// Notified is a secondary that is told of changes.
type Notified struct {
	// Address is the IP address and port of the server. Without a port it is 53.
	Address netip.AddrPort `yaml:"address" port:"53" required:"true" short:"true" example:"192.0.2.53:53"`
	// Key is the name of the key under `keys` that signs what it is told. A reply that is not signed by it confirms nothing.
	Key dnsname.Name `yaml:"key" example:"transfer.corp.example"`
}

// TransferBounds bound one transfer.
type TransferBounds struct {
	// Size is how many octets its messages may have, and its records with their names in full, which messages shorten.
	Size Size `yaml:"size" default:"1GiB" min:"1KiB" max:"16GiB"`
	// Records is how many records it may have.
	Records int `yaml:"records" default:"10000000" min:"1" max:"50000000"`
	// Time is how long it may take.
	Time time.Duration `yaml:"time" default:"10m" min:"1s" max:"1d"`
}

// IsPolicy reports whether the zone is made of the policy.
func (z *OwnZone) IsPolicy() bool {
	return z.File == "" && len(z.Primaries) == 0 && len(z.Catalog.Groups) == 0
}

// PolicyZone says which of the policy a zone is made of. Filters choose among the rules that stop something; whatever lets names through always belongs to it.
type PolicyZone struct {
	// View is the view whose policy zones count, whatever its clients and schedule. Without one those of everybody do.
	View string `yaml:"view" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"kids"`
	// Feeds are the feeds whose rows count. Without any all do that policy zones hold.
	Feeds []string `yaml:"feeds" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"[malware]"`
	// Types are the threat types of rows that count. Without any all do.
	Types []string `yaml:"types" example:"[c2]"`
	// Confidence is how sure a row has to be. Above 0, rows that do not say how sure they are do not count.
	Confidence int `yaml:"confidence" default:"0" min:"0" max:"100"`
	// Action is what the zone says of all that is stopped: `given` is what the policy does, the others are those of policy zones.
	Action PolicyAnswer `yaml:"action" default:"given"`
	// Sinkhole are the addresses for the action `sinkhole`. A family that is left out is taken from `policy.sinkhole`.
	Sinkhole Sinkhole `yaml:"sinkhole"`
	// Target is where the action `cname` leads to; `*.garden.example` puts the name that was asked for before `garden.example`.
	Target dnsname.Name `yaml:"target" example:"garden.example"`
	// TTL is that of records which stand in place of what the policy does.
	TTL time.Duration `yaml:"ttl" default:"10s" min:"0s" max:"1d"`
}

// checkOwnZones wants zones to have names and files of their own.
func (c *Config) checkOwnZones(r *reader) {
	names, files := map[dnsname.Name]int{}, map[Path]int{}
	for i, z := range c.Zones {
		key := fmt.Sprintf("zones[%d]", i)
		z.Sign.check(r, key+".sign")
		c.checkUpdate(r, key+".update", &c.Zones[i])
		c.checkKeyNames(r, key+".transfer_keys", z.TransferKeys)
		if len(z.TransferKeys) > 0 && len(z.AllowTransfer) == 0 {
			r.warn(r.at(key+".transfer_keys"), "nobody may take the zone, with or without a key", "name the networks under allow_transfer; [0.0.0.0/0, '::/0'] are all")
		}
		if z.RequireTLS && !slices.ContainsFunc(c.Listen, Listen.Encrypted) && !r.lost("listen") {
			r.fault(r.at(key+".require_tls"), "no address serves TLS, so nobody could take the zone", "give an address under listen a certificate: tls: {cert: …, key: …}")
		}
		name := z.Name.Canonical()
		if first, twice := names[name]; twice && !z.Name.IsZero() {
			r.fault(r.at(key+".name"), "two zones are named "+quoted(z.Name.String()), fmt.Sprintf("the other is on line %d", r.at(fmt.Sprintf("zones[%d].name", first)).Line))
		} else {
			names[name] = i
		}
		c.checkPrimaries(r, key, &z)
		for j, n := range z.Notify {
			c.checkKeyName(r, fmt.Sprintf("%s.notify[%d].key", key, j), n.Key)
		}
		if c.Zones[i].IsPolicy() {
			c.checkPolicyZone(r, key+".policy", &c.Zones[i])
			continue
		}
		if first, twice := files[z.File]; twice && z.File != "" {
			r.warn(r.at(key+".file"), "two zones are read from "+quoted(string(z.File)), fmt.Sprintf("the other is on line %d; records with whole names fit but one", r.at(fmt.Sprintf("zones[%d].file", first)).Line))
		} else {
			files[z.File] = i
		}
	}
}

// checkPrimaries wants a zone's primaries to be asked with keys that there are.
func (c *Config) checkPrimaries(r *reader, key string, z *OwnZone) {
	if _, written := r.places[key+".primaries"]; written && len(z.Primaries) == 0 && !r.lost(key+".primaries") {
		r.fault(r.at(key+".primaries"), "the list is empty, so the zone comes from nowhere", "such as primaries: [192.0.2.54]")
	}
	if len(z.NotifyFrom) > 0 && len(z.Primaries) == 0 {
		r.fault(r.at(key+".notify_from"), "the zone is taken from no primary, so there is nothing to hear", "name its primaries, or leave out notify_from")
	}
	c.checkPrimaryServers(r, key, z.Primaries)
}

// checkPrimaryServers wants primaries to be asked with keys that there are.
func (c *Config) checkPrimaryServers(r *reader, key string, all []Primary) {
	for i, p := range all {
		at := fmt.Sprintf("%s.primaries[%d]", key, i)
		c.checkKeyName(r, at+".key", p.Key)
		switch {
		case p.CAFile == "" || p.TLS != "":
		case p.Encrypted():
			r.fault(r.at(at+".ca_file"), "nobody vouches for a server whose key alone is wanted", "name the server under tls, or leave out ca_file")
		default:
			r.fault(r.at(at+".ca_file"), "the server is not asked by TLS", "name it under tls, or leave out ca_file")
		}
	}
}

// policyApexMax is how long the name of a zone that is made of the policy may be, in octets on the wire: the names of the policy stand before it.
const policyApexMax = 128

// checkPolicyZone wants a zone that is made of the policy to be made of what there is.
func (c *Config) checkPolicyZone(r *reader, key string, z *OwnZone) {
	p := &z.Policy
	if len(z.Name) > policyApexMax {
		r.fault(r.at(key), fmt.Sprintf("the name of the zone has %d octets; %d is the most for one that is made of the policy", len(z.Name), policyApexMax), "choose a short one, such as rpz.corp.example")
	}
	if p.View != "" && !slices.ContainsFunc(c.Policy.Views, func(v View) bool { return v.Name == p.View }) && !r.lost("policy.views") {
		r.fault(r.at(key+".view"), "there is no view "+quoted(p.View), "describe it under policy.views")
	}
	for i, name := range p.Feeds {
		if !c.answersBy(p.View, name) && !r.lost("policy.zones") {
			r.fault(r.at(fmt.Sprintf("%s.feeds[%d]", key, i)), "no policy zone that answers holds the feed "+quoted(name), "name it in the feeds of a zone of the view, or under policy.zones")
		}
	}
	if z.Sign.Enabled {
		r.fault(r.at(key), "the zone is made of the policy, and is to be signed", "resolvers take policy zones as they are: leave sign out; keys for transfers say whom it is from")
	}
	if p.Action == AnswerCNAME && p.Target.IsZero() {
		r.fault(r.at(key+".action"), "`cname` leads nowhere", "name its target")
	}
}

// answersBy reports whether a zone of a view, or of everybody, acts on the rows of a feed.
func (c *Config) answersBy(view, feed string) bool {
	zones := c.Policy.Zones
	if at := slices.IndexFunc(c.Policy.Views, func(v View) bool { return v.Name == view }); view != "" && at >= 0 {
		zones = c.Policy.Views[at].Zones
	}
	return slices.ContainsFunc(zones, func(z Zone) bool { return !z.LogOnly && slices.Contains(z.Feeds, feed) })
}
