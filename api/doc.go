// Package api is the face that Cenote shows to people and machines over HTTP: health, metrics, and JSON for explain,
// sightings, feeds and reload.
//
// It owns the routes, their parameters, the shape of their JSON, the listeners (a Unix socket and a loopback address) and the
// Client that the command line uses. It leaves all facts to the rooms: a handler asks one of the small interfaces in this package,
// which cmd/cenote connects, and writes down what it gets. Handlers may run at once; every request has a bound in time and size.
//
// Start reading at Config, then routes.go.
package api
