package server

import (
	"fmt"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// contract is the contract's JSON codec and its rules, both built at the start of the service. So an error in the
// contract stops the start, and no call waits for it.
type contract struct {
	codec *seamjson.Codec
	rules call.Rules
}

func newContract() (contract, error) {
	file := clientsessionv1.File_seam_clientsession_v1_client_session_service_proto
	codec, err := seamjson.New(file, clientsessionv1.File_seam_clientsession_v1_client_session_proto)
	if err != nil {
		return contract{}, fmt.Errorf("read the contract: %w", err)
	}
	rules, err := call.NewRules(file.Messages())
	if err != nil {
		return contract{}, fmt.Errorf("compile the rules of the contract: %w", err)
	}
	return contract{codec, rules}, nil
}
