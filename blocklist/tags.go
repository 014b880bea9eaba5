package blocklist

import (
	"slices"
	"strings"
)

// A tag is a word, or a word of a taxonomy: namespace:predicate="value" or namespace:predicate. MISP sets them on events and attributes, and
// hands them on in the labels of STIX.

// familyGalaxies are the vocabularies of malware families. The first that an object has a word of is believed.
func familyGalaxies() []string {
	return []string{"malpedia", "stealer", "banker", "ransomware", "rat", "botnet", "backdoor", "cryptominers", "android", "mitre-malware",
		"mitre-enterprise-attack-malware", "tool"}
}

// threatTaxonomies are the vocabularies of kinds of threat, the more particular ones first.
func threatTaxonomies() []string {
	return []string{"rsit:", "ecsirt:", "threatmatch:malware-type=", "malware_classification:malware-category=", "ms-caro-malware:malware-type=", "kill-chain:",
		"circl:incident-classification="}
}

// familyOfTags is the malware family that tags name. An object that is tagged with several of them does not say which is meant.
func familyOfTags(tags []string) string {
	for _, galaxy := range familyGalaxies() {
		families := valuesOf(tags, "misp-galaxy:"+galaxy+"=")
		if len(families) == 1 {
			return withoutNumber(families[0])
		}
		if len(families) > 1 {
			return ""
		}
	}
	return ""
}

// withoutNumber takes the number off that MITRE gives a malware: "Lumma Stealer - S1213".
func withoutNumber(family string) string {
	name, number, found := strings.Cut(family, " - S")
	if found && allDigits([]byte(number)) {
		return name
	}
	return family
}

// threatOfTags is the kind of threat that tags name, in the words of their taxonomy.
func threatOfTags(tags []string) string {
	for _, taxonomy := range threatTaxonomies() {
		if values := valuesOf(tags, taxonomy); len(values) > 0 {
			value := values[0]
			return strings.Trim(value[strings.LastIndexByte(value, '=')+1:], `"`)
		}
	}
	return ""
}

// tlpOfTags is the level of the Traffic Light Protocol that tags set.
func tlpOfTags(tags []string) string {
	if levels := valuesOf(tags, "tlp:"); len(levels) > 0 {
		return "TLP:" + strings.ToUpper(levels[0])
	}
	return ""
}

// valuesOf are the different values of the tags that begin with prefix, without their quotes.
func valuesOf(tags []string, prefix string) (values []string) {
	for _, tag := range tags {
		if len(tag) <= len(prefix) || !strings.EqualFold(tag[:len(prefix)], prefix) {
			continue
		}
		value := strings.TrimSpace(strings.Trim(tag[len(prefix):], `"`))
		if value != "" && !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	return values
}

// plainFamily is the tag without a taxonomy with which an event's title begins, if no actor is tagged and the word means no kind of threat: then it is the
// name of the malware.
func plainFamily(tags []string, title string) string {
	family := ""
	for _, tag := range tags {
		if strings.HasPrefix(tag, "misp-galaxy:") && strings.Contains(tag, "actor") {
			return ""
		}
		if !strings.ContainsAny(tag, ":=") && len(tag) > len(family) && beginsWithWord(title, tag) && !isKindOfThreat(tag) {
			family = tag
		}
	}
	return family
}

// beginsWithWord reports whether text begins with the word, without regard to letter case, and not with a longer one.
func beginsWithWord(text, word string) bool {
	if len(text) < len(word) || !strings.EqualFold(text[:len(word)], word) {
		return false
	}
	return len(text) == len(word) || !isHostOctet(text[len(word)])
}

// isKindOfThreat reports whether a word is said of many families.
func isKindOfThreat(word string) bool {
	switch strings.ToLower(word) {
	case "adware", "apt", "backdoor", "banker", "botnet", "c2", "campaign", "cryptominer", "ddos", "dropper", "exploit", "fraud", "infostealer", "keylogger",
		"loader", "malware", "miner", "osint", "phishing", "ransomware", "rat", "rootkit", "scam", "spam", "spyware", "stealer", "trojan", "wiper", "worm":
		return true
	}
	return false
}
