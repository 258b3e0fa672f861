package seamerr

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

// TestWrongTypeKeepsOtherMembers shows that a member of an undocumented type does not affect the others.
func TestWrongTypeKeepsOtherMembers(t *testing.T) {
	for _, body := range []string{
		`{"error":{"type":"t","message":"m"},"ok":"false"}`,
		`{"error":{"type":"t","message":"m","request_id":5},"ok":false}`,
		`{"error":{"type":"t","message":"m","data":"text","validation_errors":[1]},"ok":false}`,
		`{"error":{"message":"m","data":{"e":1e999},"type":"t"},"ok":false}`,
	} {
		if e := FromResponse(http.StatusBadRequest, "application/json", []byte(body)); e.Type != "t" || e.Message != "m" {
			t.Errorf("%s gives %+v", body, e)
		}
	}
}

// TestNumbersKeepTheirDigits shows that data is passed on over REST unchanged.
func TestNumbersKeepTheirDigits(t *testing.T) {
	const data = `"data":{"big":12345678901234567890,"small":1.0}`
	e := FromResponse(http.StatusBadRequest, "application/json", []byte(`{"error":{"type":"t","message":"m",`+data+`},"ok":false}`))
	for _, kept := range [][]byte{e.Body, nil} { // As it came, and made anew.
		e.Body = kept
		body, err := e.Envelope()
		if kept != nil {
			body = kept
		}
		if err != nil || !strings.Contains(string(body), data) {
			t.Errorf("got %s, %v", body, err)
		}
	}
	if st := e.GRPCStatus(); len(st.Details()) != 2 {
		t.Errorf("got the details %v, want ErrorInfo and Struct", st.Details())
	}
}

// TestStatusesOfProxies shows that the statuses of proxies have a valid reason and a suitable code.
func TestStatusesOfProxies(t *testing.T) {
	reason := regexp.MustCompile(`^[A-Z][A-Z0-9_]+[A-Z0-9]$`)
	for httpStatus, code := range map[int]codes.Code{
		418: codes.InvalidArgument, 499: codes.InvalidArgument, 520: codes.Internal, 521: codes.Unavailable,
		522: codes.Unavailable, 523: codes.Unavailable, 524: codes.DeadlineExceeded, 525: codes.Unavailable,
		526: codes.Unavailable, 599: codes.Internal,
	} {
		e := FromResponse(httpStatus, "application/json", nil)
		if e.GRPCCode() != code || !reason.MatchString(e.reason()) {
			t.Errorf("%d gives %s, reason %q; want %s", httpStatus, e.GRPCCode(), e.reason(), code)
		}
	}
}
