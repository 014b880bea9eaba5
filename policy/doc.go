// Package policy decides what happens to a query: which rule matches its name, which of several wins, and what is to be recorded.
package policy
