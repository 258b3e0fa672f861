// Package service implements ClientSessionService by Seam's client sessions API.
package service

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	pb "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// Service implements the RPCs. It keeps no state: every response is Seam's. Ok is set here: any response without an
// error is a success, and Seam's reference shows an empty response to a successful grant.
type Service struct {
	pb.UnimplementedClientSessionServiceServer

	seam                     *seam.Client
	serviceCredentialRefused prometheus.Counter
}

// New returns the service on top of a client of Seam. The counter counts the calls for which Seam refused the
// service credential.
func New(client *seam.Client, serviceCredentialRefused prometheus.Counter) *Service {
	return &Service{seam: client, serviceCredentialRefused: serviceCredentialRefused}
}

// Create creates a client session. The contract says what each method takes and the errors it ends with.
func (s *Service) Create(ctx context.Context, request *pb.CreateRequest) (*pb.CreateResponse, error) {
	at := seam.CreateOrGet(request.GetUserIdentifierKey() != "")
	if request.GetIfExists() == pb.IfExists_IF_EXISTS_FAIL {
		at = seam.Create()
	}
	response := &pb.CreateResponse{}
	err := s.call(ctx, at, request, response)
	response.Ok = true
	return response, err
}

// Get returns a client session.
func (s *Service) Get(ctx context.Context, request *pb.GetRequest) (*pb.GetResponse, error) {
	response := &pb.GetResponse{}
	err := s.call(ctx, seam.Get(), request, response)
	response.Ok = true
	return response, err
}

// GetOrCreate returns the client session of a user identifier, and creates it first if there is none.
func (s *Service) GetOrCreate(ctx context.Context, request *pb.GetOrCreateRequest) (*pb.GetOrCreateResponse, error) {
	response := &pb.GetOrCreateResponse{}
	err := s.call(ctx, seam.GetOrCreate(request.GetUserIdentifierKey() != ""), request, response)
	response.Ok = true
	return response, err
}

// List returns client sessions.
func (s *Service) List(ctx context.Context, request *pb.ListRequest) (*pb.ListResponse, error) {
	response := &pb.ListResponse{}
	err := s.call(ctx, seam.List(), request, response)
	response.Ok = true
	return response, err
}

// GrantAccess grants a client session access.
func (s *Service) GrantAccess(ctx context.Context, request *pb.GrantAccessRequest) (*pb.GrantAccessResponse, error) {
	response := &pb.GrantAccessResponse{}
	err := s.call(ctx, seam.GrantAccess(), request, response)
	response.Ok = true
	return response, err
}

// Revoke revokes a client session.
func (s *Service) Revoke(ctx context.Context, request *pb.RevokeRequest) (*pb.RevokeResponse, error) {
	response := &pb.RevokeResponse{}
	err := s.call(ctx, seam.Revoke(), request, response)
	response.Ok = true
	return response, err
}

// Delete deletes a client session.
func (s *Service) Delete(ctx context.Context, request *pb.DeleteRequest) (*pb.DeleteResponse, error) {
	response := &pb.DeleteResponse{}
	err := s.call(ctx, seam.Delete(), request, response)
	response.Ok = true
	return response, err
}

// call sends a request to Seam with the caller's credential and records Seam's response.
func (s *Service) call(ctx context.Context, at seam.Endpoint, request, response proto.Message) error {
	call := callinfo.FromContext(ctx)
	result, err := s.seam.Do(ctx, seam.Call{
		Endpoint: at, Header: call.SeamHeader, Caller: seam.Caller{Key: call.CallerKey, Proven: call.Proven},
		ServiceCredential: call.ServiceCredential, CallerRetries: call.CallerRetries, In: request, Out: response,
		BodyOnly: call.Face == callinfo.FaceREST,
	})
	return s.ended(call, result, err)
}

// ended records Seam's response, and returns the error for the caller.
func (s *Service) ended(call *callinfo.Call, result seam.Response, err error) error {
	call.SeamRequestID, call.SeamStatus = result.RequestID, result.HTTPStatus
	call.Attempts, call.RetryReason, call.Skipped = result.Attempts, result.RetryReason, result.Skipped
	call.SeamDuration = result.Duration
	if call.Face == callinfo.FaceREST {
		call.SeamBody = result.Body
	}
	if refusal, ok := errors.AsType[*seamerr.Error](err); ok && call.ServiceCredential && refusal.RefusesCredential() {
		s.serviceCredentialRefused.Inc()
		return seamerr.ServiceCredentialRefused(refusal)
	}
	return err
}
