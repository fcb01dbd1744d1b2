// Package knlocal runs Knative eventing's own broker data plane (ingress, fan-out, filter) in one process on
// loopback, in front of one subscriber, without Kubernetes. It is a test so that Knative's fakes can be used.
//
// SUBSCRIBER=http://127.0.0.1:8080 [DLS=http://127.0.0.1:8090] [TYPE=trade.executed.v1] [RETRY=3] [BACKOFF=PT0.2S] \
//
//	[POLICY=linear] [TIMEOUT=PT1S] [SYNC=1] FOR=10m knlocal -test.run TestServe -test.timeout 0
//
// With SYNC the producer waits for the subscriber, as on a cluster's in-memory channel. Events go to
// http://127.0.0.1:8900/default/default. INGRESS, CHANNEL and FILTER name other ports than 8900 to 8902.
package knlocal

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	configmapinformer "knative.dev/pkg/client/injection/kube/informers/core/v1/configmap/fake"
	_ "knative.dev/pkg/client/injection/kube/informers/core/v1/configmap/filtered/fake"
	filteredFactory "knative.dev/pkg/client/injection/kube/informers/factory/filtered"
	_ "knative.dev/pkg/client/injection/kube/informers/factory/filtered/fake"
	"knative.dev/pkg/configmap"
	reconcilertesting "knative.dev/pkg/reconciler/testing"

	eventingduck "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/eventing/pkg/apis/eventing"
	v1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/pkg/apis/feature"
	messagingv1 "knative.dev/eventing/pkg/apis/messaging/v1"
	"knative.dev/eventing/pkg/auth"
	"knative.dev/eventing/pkg/broker"
	"knative.dev/eventing/pkg/broker/filter"
	"knative.dev/eventing/pkg/broker/ingress"
	"knative.dev/eventing/pkg/channel/fanout"
	brokerinformerfake "knative.dev/eventing/pkg/client/injection/informers/eventing/v1/broker/fake"
	triggerinformerfake "knative.dev/eventing/pkg/client/injection/informers/eventing/v1/trigger/fake"
	eventpolicyinformerfake "knative.dev/eventing/pkg/client/injection/informers/eventing/v1alpha1/eventpolicy/fake"
	subscriptioninformerfake "knative.dev/eventing/pkg/client/injection/informers/messaging/v1/subscription/fake"
	"knative.dev/eventing/pkg/eventingtls"
	"knative.dev/eventing/pkg/kncloudevents"
	"knative.dev/eventing/pkg/reconciler/broker/resources"

	_ "knative.dev/pkg/client/injection/kube/client/fake"
	_ "knative.dev/pkg/system/testing"
)

func address(name, port string) string {
	if p := os.Getenv(name); p != "" {
		port = p
	}
	return "127.0.0.1:" + port
}

func url(s string) *apis.URL { u, _ := apis.ParseURL(s); return u }

func TestServe(t *testing.T) {
	sub := os.Getenv("SUBSCRIBER")
	if sub == "" {
		t.Skip()
	}
	ingressAt, channelAt, filterAt := address("INGRESS", "8900"), address("CHANNEL", "8901"), address("FILTER", "8902")
	ctx, _ := reconcilertesting.SetupFakeContext(t, func(ctx context.Context) context.Context {
		return filteredFactory.WithSelectors(ctx, eventingtls.TrustBundleLabelSelector)
	})
	zl := zap.NewProductionConfig()
	zl.Level.SetLevel(zap.WarnLevel)
	logger, _ := zl.Build()
	mp := metric.NewMeterProvider()
	tp := trace.NewTracerProvider()
	cml := configmapinformer.Get(ctx).Lister().ConfigMaps("ns")
	cmw := configmap.NewStaticWatcher(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "config-features", Namespace: "knative-eventing"}, Data: map[string]string{feature.OIDCAuthentication: string(feature.Disabled)}})
	prov := auth.NewOIDCTokenProvider(ctx)
	ver := auth.NewVerifier(ctx, eventpolicyinformerfake.Get(ctx).Lister(), cml, cmw)
	b := &v1.Broker{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "default"}}
	b.Status.Annotations = map[string]string{eventing.BrokerChannelAddressStatusAnnotationKey: "http://" + channelAt + "/"}
	b.Status.Address = &duckv1.Addressable{URL: url("http://" + ingressAt + "/default/default")}
	brokerinformerfake.Get(ctx).Informer().GetStore().Add(b)
	trig := &v1.Trigger{ObjectMeta: metav1.ObjectMeta{Name: "t", Namespace: "default", UID: "uid1"}, Spec: v1.TriggerSpec{Broker: "default"}}
	if ty := os.Getenv("TYPE"); ty != "" {
		trig.Spec.Filters = []v1.SubscriptionsAPIFilter{{Exact: map[string]string{"type": ty}}}
	}
	trig.Status.SubscriberURI = url(sub)
	triggerinformerfake.Get(ctx).Informer().GetStore().Add(trig)
	subscriptioninformerfake.Get(ctx).Informer().GetStore().Add(&messagingv1.Subscription{ObjectMeta: metav1.ObjectMeta{Name: resources.SubscriptionName(feature.FromContext(ctx), trig), Namespace: "default"}})
	wc := func(c context.Context) context.Context { return c }
	ing, err := ingress.NewHandler(logger, broker.TTLDefaulter(logger, 255), brokerinformerfake.Get(ctx), ver, prov, cml, wc, mp, tp)
	if err != nil {
		t.Fatal(err)
	}
	fil, err := filter.NewHandler(logger, ver, prov, triggerinformerfake.Get(ctx), brokerinformerfake.Get(ctx), subscriptioninformerfake.Get(ctx), cml, wc, mp, tp)
	if err != nil {
		t.Fatal(err)
	}
	retry := int32(3)
	if r, err := strconv.Atoi(os.Getenv("RETRY")); err == nil {
		retry = int32(r)
	}

	pol := eventingduck.BackoffPolicyExponential
	delay := "PT0.2S"
	if b := os.Getenv("BACKOFF"); b != "" {
		delay = b
	}

	if p := os.Getenv("POLICY"); p != "" {
		pol = eventingduck.BackoffPolicyType(p)
	}
	spec := eventingduck.DeliverySpec{Retry: &retry, BackoffPolicy: &pol, BackoffDelay: &delay}
	if t := os.Getenv("TIMEOUT"); t != "" {
		spec.Timeout = &t
	}
	rc, err := kncloudevents.RetryConfigFromDeliverySpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	disp := kncloudevents.NewDispatcher(eventingtls.ClientConfig{TrustBundleConfigMapLister: cml}, prov)
	s := fanout.Subscription{Subscriber: duckv1.Addressable{URL: url("http://" + filterAt + "/triggers/default/t/uid1")}, Reply: &duckv1.Addressable{URL: url("http://" + ingressAt + "/default/default")}, RetryConfig: &rc, Name: "t", Namespace: "default", UID: "s1"}
	if dl := os.Getenv("DLS"); dl != "" {
		s.DeadLetter = &duckv1.Addressable{URL: url(dl)}
	}
	fan, err := fanout.NewFanoutEventHandler(logger, fanout.Config{AsyncHandler: os.Getenv("SYNC") == "", Subscriptions: []fanout.Subscription{s}}, nil, nil, nil, disp, mp, tp)
	if err != nil {
		t.Fatal(err)
	}
	for a, h := range map[string]http.Handler{ingressAt: ing, channelAt: fan, filterAt: fil} {
		go func() { t.Log(http.ListenAndServe(a, h)) }()
	}
	d, _ := time.ParseDuration(os.Getenv("FOR"))
	time.Sleep(d)
}
