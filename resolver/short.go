package resolver

import "errors"

// What fails for want of a budget says nothing about the name: somebody whose own zones had used the budget up could otherwise have the
// names of others fail for all. So it is neither remembered nor handed to a question with another budget.

// borrowedTries is how often a question is asked again that failed for want of the budget of somebody else who asked it at the same time.
const borrowedTries = 3

// isShort reports whether an error says more of who asked than of the name.
func isShort(err error) bool {
	return errors.Is(err, errWork) || errors.Is(err, ErrBusy) || errors.Is(err, ErrClosed)
}

// ranShort reports whether something was not done for want of the budget.
func (b *budget) ranShort() bool { return b.short.Load() || b.crypto.Spent() }

// checkedOut reports whether no more checks are made for the question, so that it is of no use to ask for the same data elsewhere.
func (b *budget) checkedOut() bool { return b.busy.Load() || b.crypto.Spent() }

// mayRemember reports whether a failure may be remembered: of a client's own question, whose budget was whole when it began, or one that
// has to do with no budget.
func (f *flight) mayRemember(err error) bool {
	switch {
	case errors.Is(err, errSilent):
		return false // it costs nothing to find that out again, and the server may be back
	case f.inner && f.budget != nil:
		return !isShort(err) && !f.budget.ranShort()
	}
	return true
}
