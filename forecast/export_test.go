package forecast

// Distinct counts the hashes with a bound.
func Distinct(most int, hashes []uint64) Count {
	d := distinct{max: most}
	for _, h := range hashes {
		d.add(h)
	}
	return d.count()
}

// Bounds that tests reach.
const (
	NamesMax   = namesMax
	BusiestMax = busiestMax
	DaysMax    = daysMax
	NameExact  = nameExact
)

// Tracked is how many names and clients are told apart.
func (t *Tally) Tracked() (names, clients int) { return len(t.tops.all), len(t.busiest.all) }
