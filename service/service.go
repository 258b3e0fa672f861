// Package service implements ClientSessionService by Seam's client sessions API.
package service

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	pb "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// Service implements the RPCs. It keeps no state: every response is Seam's. Seam may omit ok. A call without an error
// is a success, so ok is always true.
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

// Methods are the RPCs, as calls are served.
func (s *Service) Methods() []*call.Method {
	return []*call.Method{
		call.Unary(pb.ClientSessionService_Create_FullMethodName, s.Create),
		call.Unary(pb.ClientSessionService_Get_FullMethodName, s.Get),
		call.Unary(pb.ClientSessionService_GetOrCreate_FullMethodName, s.GetOrCreate),
		call.Unary(pb.ClientSessionService_List_FullMethodName, s.List),
		call.Unary(pb.ClientSessionService_GrantAccess_FullMethodName, s.GrantAccess),
		call.Unary(pb.ClientSessionService_Revoke_FullMethodName, s.Revoke),
		call.Unary(pb.ClientSessionService_Delete_FullMethodName, s.Delete),
	}
}

// Create creates a client session. The contract says what each method takes and the errors it ends with.
func (s *Service) Create(ctx context.Context, request *pb.CreateRequest) (*pb.CreateResponse, error) {
	endpoint := seam.CreateOrGet(request.GetUserIdentifierKey() != "")
	if request.GetIfExists() == pb.IfExists_IF_EXISTS_FAIL {
		endpoint = seam.Create()
	}
	response := &pb.CreateResponse{}
	err := s.call(ctx, endpoint, request, response)
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
func (s *Service) call(ctx context.Context, endpoint seam.Endpoint, request, response proto.Message) error {
	c := call.FromContext(ctx)
	toSeam := &seam.Call{
		Endpoint: endpoint, Header: c.SeamHeader, Caller: seam.Caller{Name: c.Caller, Key: c.CallerKey, Proven: c.Proven},
		ServiceCredential: c.ServiceCredential, CallerRetries: c.Retries(), In: request, Out: response,
		BodyOnly: c.Face == call.FaceREST && (!c.Audited || endpoint.Success == seam.Sessions),
	}
	result, err := s.seam.Do(ctx, toSeam)
	c.Response = toSeam
	return s.ended(c, result, err)
}

// ended records Seam's response, and returns the error for the caller.
func (s *Service) ended(c *call.Call, result *seam.Response, err error) error {
	c.SeamRequestID, c.SeamStatus, c.SeamResponseHeader = result.SeamRequestID, result.HTTPStatus, result.Header
	c.Attempts, c.RetryReason, c.Skipped = result.Attempts, result.RetryReason, result.Skipped
	c.SeamDuration = result.Duration
	if c.Face == call.FaceREST {
		c.SeamBody = result.Body
	}
	if refusal, ok := errors.AsType[*seamerr.Error](err); ok && c.ServiceCredential && refusal.RefusesCredential() {
		s.serviceCredentialRefused.Inc()
		return seamerr.ServiceCredentialRefused(refusal)
	}
	return err
}
