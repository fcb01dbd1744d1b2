// filter oracle: reads JSON lines {"filters":[...],"event":{...}} and prints true or false as Knative's own evaluator
// decides, or "error ..." where Knative's webhook refuses the filters or the evaluator panics
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	ce "github.com/cloudevents/sdk-go/v2"
	"go.uber.org/zap"
	evv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/pkg/eventfilter"
	"knative.dev/eventing/pkg/eventfilter/subscriptionsapi"
)

func main() {
	sc := bufio.NewScanner(os.Stdin)
	for sc.Scan() {
		var in struct {
			Filters []evv1.SubscriptionsAPIFilter `json:"filters"`
			Event   ce.Event                      `json:"event"`
		}
		if err := json.Unmarshal(sc.Bytes(), &in); err != nil {
			fmt.Println("error", err)
			continue
		}
		fmt.Println(decide(in.Filters, in.Event))
	}
}

func decide(filters []evv1.SubscriptionsAPIFilter, event ce.Event) (answer string) {
	ctx := context.Background()
	if err := evv1.ValidateSubscriptionAPIFiltersList(ctx, filters); err != nil {
		return strings.ReplaceAll(fmt.Sprint("error ", err), "\n", " ")
	}
	defer func() {
		if p := recover(); p != nil {
			answer = fmt.Sprint("error panic ", p)
		}
	}()
	f := subscriptionsapi.NewAllFilter(subscriptionsapi.MaterializeFiltersList(zap.NewNop(), filters)...)
	return strconv.FormatBool(f.Filter(ctx, event) != eventfilter.FailFilter)
}
