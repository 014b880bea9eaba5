package api_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"cenote/api"
	"cenote/blocklist"
)

// TestDecisionSaysWho: the kernel tells which user decides, and whoever asks for somebody says so.
func TestDecisionSaysWho(t *testing.T) {
	r := &rooms{}
	socket, _ := start(t, r, "")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{"": me.Username, me.Username: me.Username, "officer": "officer (as " + me.Username + ")"} {
		var answer blocklist.DecideReport
		request := api.DecideRequest{Verdict: "release", Name: "a.example", Feed: "f", Why: "w", Who: given}
		if err := api.NewClient(socket, 0).Post(t.Context(), "/v1/held", request, &answer); err != nil {
			t.Fatal(err)
		}
		if d := r.decided; d.Who != want || d.Name != "a.example" || d.Feed != "f" || d.Why != "w" || d.Verdict != blocklist.VerdictRelease {
			t.Errorf("%q decides %+v, want it by %q", given, d, want)
		}
	}
}

// TestDecisionsAreTakenOverTheSocketAlone, which knows who decides.
func TestDecisionsAreTakenOverTheSocketAlone(t *testing.T) {
	r := &rooms{}
	socket, base := start(t, r, "")
	body := `{"verdict": "release", "name": "a.example", "why": "w"}`
	res, err := http.Post(base+"/v1/held", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed && res.StatusCode != http.StatusNotFound || r.decided.Name != "" {
		t.Errorf("over HTTP: status %d, decided %+v", res.StatusCode, r.decided)
	}
	for _, bad := range []api.DecideRequest{{Verdict: "perhaps", Name: "a.example"}, {Name: "a.example"}} {
		err := api.NewClient(socket, 0).Post(t.Context(), "/v1/held", bad, new(blocklist.DecideReport))
		if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Status != http.StatusBadRequest {
			t.Errorf("%+v: %v, want status 400", bad, err)
		}
	}
	r.fault = blocklist.ErrDecision
	err = api.NewClient(socket, 0).Post(t.Context(), "/v1/held", api.DecideRequest{Verdict: "forget", Name: "a.example"}, new(blocklist.DecideReport))
	if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Status != http.StatusUnprocessableEntity || r.decided.Verdict != blocklist.VerdictForget {
		t.Errorf("a decision that is refused: %v, want status 422", err)
	}
}

func TestHeldFilterIsHandedOn(t *testing.T) {
	r := &rooms{}
	socket, base := start(t, r, "")
	var answer api.HeldAnswer
	params := url.Values{"feed": {"f"}, "name": {"WWW.Example."}, "reason": {"held-popular"}, "state": {"held"}}
	if err := api.NewClient(socket, 0).Get(t.Context(), "/v1/held", params, &answer); err != nil || len(answer.Held) != 1 || answer.Held[0].Reason != blocklist.ReasonHeldPopular {
		t.Errorf("held: %+v, %v", answer, err)
	}
	if want := (api.HeldFilter{Feed: "f", Name: "www.example", Reason: "held-popular", State: "held"}); r.held != want {
		t.Errorf("the filter is %+v, want %+v", r.held, want)
	}
	for query, hint := range map[string]string{"reason=held-populr": `did you mean \"held-popular\"`, "state=hold": `did you mean \"held\"`, "feed=none": "no such feed"} {
		if status, body := get(t, base+"/v1/held?"+query, nil); status != http.StatusBadRequest || !strings.Contains(body, hint) {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	if status, body := get(t, base+"/v1/held?name=a+b", nil); status != http.StatusBadRequest {
		t.Errorf("a name that is none: %d %s", status, body)
	}
	if _, body := get(t, base+"/v1/held", nil); !strings.Contains(body, `"decisions":[]`) {
		t.Errorf("no decisions are %s, want an empty list", body)
	}
}

// TestHeldIsDescribed holds docs/api.md to the fields and parameters of held rows and decisions.
func TestHeldIsDescribed(t *testing.T) {
	b, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []reflect.Type{
		reflect.TypeFor[blocklist.Held](), reflect.TypeFor[blocklist.HeldRow](), reflect.TypeFor[blocklist.Fault](), reflect.TypeFor[blocklist.Decision](),
		reflect.TypeFor[api.DecideRequest](), reflect.TypeFor[api.HeldAnswer](), reflect.TypeFor[blocklist.DecideReport](),
	} {
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name != "" && !regexp.MustCompile("(?m)^\\|.*\\b"+name+"\\b.*\\|$|`"+name+"`").Match(b) {
				t.Errorf("docs/api.md does not describe %s of a %s", name, of.Name())
			}
		}
	}
}
