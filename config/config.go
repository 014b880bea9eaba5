package config

// Config is one configuration file. The keys of the file are the `yaml` tags of the fields; a field's `default`, `example`,
// `min` and `max` tags are YAML text, read by the same reader as the file.
type Config struct {
	// State is the directory for everything the server writes: the compiled policy, the kept copies of the feeds, the
	// ledger of sightings, the query log and the control socket. It is made if it is missing. Without the key it is
	// $STATE_DIRECTORY, else /var/lib/cenote for root, else $XDG_STATE_HOME/cenote, else ~/.local/state/cenote.
	State Path `yaml:"state" reload:"restart" shown:"true" example:"/var/lib/cenote"`
	// Listen are the addresses on which DNS is served.
	Listen []Listen `yaml:"listen" reload:"restart" default:"[{address: '127.0.0.1:53'}, {address: '[::1]:53'}]"`
	// Access says who may ask.
	Access Access `yaml:"access"`
	// RateLimit bounds what one client network may ask over UDP.
	RateLimit RateLimit `yaml:"rate_limit"`
	// Cookies are DNS cookies (RFC 7873), by which a client proves that its address is not forged.
	Cookies Cookies `yaml:"cookies"`
	// LocalZones are the names that are answered here and never leave the network.
	LocalZones LocalZones `yaml:"local_zones"`
	// Zones are those that this server answers for with authority, from files. Policy comes before them.
	Zones []OwnZone `yaml:"zones"`
	// Keys are secrets shared with other name servers, by which transfers and what belongs to them are signed (TSIG), and with clients that sign their
	// questions. The keys that sign zones (DNSSEC) are not among them: the server makes those, and `cenote keys` shows them.
	Keys []SharedKey `yaml:"keys"`
	// TCP bounds the connections of clients.
	TCP TCP `yaml:"tcp"`
	// Limits bound the work of the server as a whole.
	Limits Limits `yaml:"limits"`
	// Feeds are the lists of names to act on. A feed does nothing until a zone of `policy` holds it.
	Feeds []Feed `yaml:"feeds"`
	// Compile says how feeds are watched and turned into the served policy.
	Compile Compile `yaml:"compile"`
	// Policy says what happens to listed names.
	Policy Policy `yaml:"policy"`
	// Upstreams are the resolvers that names are forwarded to. Of those that are well the quickest is asked first, whatever their order.
	Upstreams []Upstream `yaml:"upstreams"`
	// Recursion looks for names from the root down, without upstreams.
	Recursion Recursion `yaml:"recursion"`
	// Resolver says how upstreams and servers of zones are asked.
	Resolver Resolver `yaml:"resolver"`
	// Cache keeps answers of upstreams.
	Cache Cache `yaml:"cache"`
	// Sightings is the ledger of which client asked for which listed name.
	Sightings Sightings `yaml:"sightings"`
	// QueryLog writes one line a query.
	QueryLog QueryLog `yaml:"query_log"`
	// API is how people and programs talk to the running server.
	API API `yaml:"api"`
	// Log is the server's own log, on standard error.
	Log Log `yaml:"log"`
}
