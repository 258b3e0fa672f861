// A module of its own, so that the tests of tools/chart and tools/release use it without what the service needs. It
// needs the standard library alone.
module github.com/clientsession/client-session-service/service/servicetest

go 1.26.0
