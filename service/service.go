// Package service implements ClientSessionService by Seam's client sessions API.
package service

import (
	"context"

	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/service/service/callinfo"
	"github.com/clientsession/service/service/seam"
)

// Service answers the RPCs. It keeps no state: every answer is Seam's.
type Service struct {
	clientsessionv1.UnimplementedClientSessionServiceServer

	seam *seam.Client
}

// New returns the service on top of a client of Seam.
func New(client *seam.Client) *Service {
	return &Service{seam: client}
}

// GrantAccess grants a client session access. See the contract for what it takes and the errors it ends with.
func (s *Service) GrantAccess(
	ctx context.Context, request *clientsessionv1.GrantAccessRequest,
) (*clientsessionv1.GrantAccessResponse, error) {
	response := &clientsessionv1.GrantAccessResponse{}
	if err := s.call(ctx, seam.GrantAccess(), request, response); err != nil {
		return nil, err
	}
	response.Ok = true // Seam's reference page shows an empty answer to a grant that was made.
	return response, nil
}

// call puts a request to Seam with the caller's credential and notes how Seam answered.
func (s *Service) call(ctx context.Context, at seam.Endpoint, request, response proto.Message) error {
	call := callinfo.FromContext(ctx)
	answer, err := s.seam.Do(ctx, at, call.SeamHeader, request, response)
	call.SeamRequestID, call.SeamStatus = answer.RequestID, answer.HTTPStatus
	return err
}
