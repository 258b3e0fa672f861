package seamjson

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
)

// BenchmarkCodec compares the codec with protojson in the same run.
func BenchmarkCodec(b *testing.B) {
	question := []byte(`{"client_session_id":"c2cbd177-1ef1-414d-a2c5-e64ec6ffd7aa",` +
		`"connected_account_ids":["5e1cdd5f-2b3a-4e5b-9d8c-000000000001","5e1cdd5f-2b3a-4e5b-9d8c-000000000002"]}`)
	lenient := protojson.UnmarshalOptions{DiscardUnknown: true}
	seamLike := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}
	for _, test := range []struct {
		name string
		do   func() error
	}{
		{"unmarshal response/seamjson", func() error { _, err := contract.UnmarshalResponse([]byte(fullResponse), &response{}); return err }},
		{"unmarshal response/protojson", func() error { return lenient.Unmarshal([]byte(fullResponse), &response{}) }},
		{"read request/seamjson", func() error { _, err := contract.UnmarshalRequest(question, "", &request{}); return err }},
		{"read request/protojson", func() error { return protojson.Unmarshal(question, &request{}) }},
		{"write request/seamjson", func() error {
			_, err := contract.AppendRequest(nil, &request{ClientSessionId: new("c"), ConnectedAccountIds: []string{"a", "b"}})
			return err
		}},
		{"write request/protojson", func() error {
			_, err := seamLike.Marshal(&request{ClientSessionId: new("c"), ConnectedAccountIds: []string{"a", "b"}})
			return err
		}},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := test.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
