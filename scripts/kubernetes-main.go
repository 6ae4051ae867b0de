// A genuine Kubernetes API server without the rest of Kubernetes: the libraries that kube-apiserver is made of (k8s.io/apiserver with its storage in etcd, its
// watch cache and its handlers, and k8s.io/apiextensions-apiserver for custom resources), and v1's namespaces, nodes, pods and configmaps on its generic
// registry. What kube-apiserver itself adds is not here: validation and defaults of the v1 kinds, admission, authorization, controllers.
// scripts/kubernetes builds it; test/kubernetes.ts starts it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"net/http"
	"os"
	"sort"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	crdoptions "k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	crdopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	aggregated "k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/storage/names"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

var (
	etcd      = flag.String("etcd", "http://127.0.0.1:2379", "URL of etcd")
	listen    = flag.String("listen", "127.0.0.1:6443", "address and port")
	directory = flag.String("directory", ".", "where the certificate is made and tokens.csv (TOKEN,USER,UID,\"GROUP\") is read")
)

func must(err error) {
	if err != nil {
		klog.ErrorS(err, "cannot serve")
		os.Exit(1)
	}
}

func main() {
	flag.Parse()
	ctx := genericserver.SetupSignalContext()

	options := crdoptions.NewCustomResourceDefinitionsServerOptions(os.Stdout, os.Stderr)
	storage := options.RecommendedOptions.Etcd
	storage.StorageConfig.Transport.ServerList = []string{*etcd}
	storage.StorageConfig.Prefix = "/registry"
	serving := options.RecommendedOptions.SecureServing
	address, err := net.ResolveTCPAddr("tcp", *listen)
	must(err)
	serving.BindAddress, serving.BindPort = address.IP, address.Port
	serving.ServerCert.CertDirectory, serving.ServerCert.PairName = *directory, "apiserver"
	must(serving.MaybeDefaultWithSelfSignedCerts("localhost", nil, []net.IP{address.IP}))
	tokens, err := tokenfile.NewCSV(*directory + "/tokens.csv")
	must(err)

	var shared genericserver.RecommendedConfig
	must(serving.ApplyTo(&shared.SecureServing, &shared.LoopbackClientConfig))
	// config gives what both servers, one behind the other, have in common.
	config := func(codecs serializer.CodecFactory, codec runtime.Codec, definitions common.GetOpenAPIDefinitions, scheme *runtime.Scheme) *genericserver.RecommendedConfig {
		c := genericserver.NewRecommendedConfig(codecs)
		c.SecureServing, c.LoopbackClientConfig = shared.SecureServing, shared.LoopbackClientConfig
		must(options.ServerRunOptions.ApplyTo(&c.Config))
		etcdOptions := *storage
		etcdOptions.StorageConfig.Codec = codec
		must(etcdOptions.ApplyTo(&c.Config))
		c.Authentication.Authenticator = bearertoken.New(tokens)
		c.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
		c.OpenAPIV3Config = genericserver.DefaultOpenAPIV3Config(definitions, openapinamer.NewDefinitionNamer(scheme, clientscheme.Scheme))
		c.EnableDiscovery = false // /apis is answered below, for both
		return c
	}

	crdCodec := crdserver.Codecs.LegacyCodec(apiextensionsv1.SchemeGroupVersion)
	crdConfig := &crdserver.Config{GenericConfig: config(crdserver.Codecs, crdCodec, crdopenapi.GetOpenAPIDefinitions, crdserver.Scheme)}
	must(options.APIEnablement.ApplyTo(&crdConfig.GenericConfig.Config, crdserver.DefaultAPIResourceConfigSource(), crdserver.Scheme))
	crdConfig.ExtraConfig.CRDRESTOptionsGetter = crdoptions.NewCRDRESTOptionsGetter(*storage, crdConfig.GenericConfig.ResourceTransformers, crdConfig.GenericConfig.StorageObjectCountTracker)
	crds, err := crdConfig.Complete().New(genericserver.NewEmptyDelegate())
	must(err)

	coreConfig := config(coreCodecs, coreCodecs.LegacyCodec(corev1.SchemeGroupVersion), coreDefinitions, coreScheme)
	core, err := coreConfig.Complete().New("kubernetes", crds.GenericAPIServer)
	must(err)
	group := genericserver.NewDefaultAPIGroupInfo("", coreScheme, metav1.ParameterCodec, coreCodecs)
	resources, err := coreResources(coreConfig.RESTOptionsGetter)
	must(err)
	group.VersionedResourcesStorageMap["v1"] = resources
	must(core.InstallLegacyAPIGroup(genericserver.DefaultLegacyAPIPrefix, &group))
	groups := aggregated.WrapAggregatedDiscoveryToHandler(groupsOf(crds), crds.GenericAPIServer.AggregatedDiscoveryGroupManager, crds.GenericAPIServer.AggregatedDiscoveryGroupManager)
	core.Handler.NonGoRestfulMux.Handle("/apis", groups)

	must(core.PrepareRun().RunWithContext(ctx))
}

// groupsOf answers GET /apis from the definitions that are there: kube-apiserver leaves that to its aggregator.
func groupsOf(crds *crdserver.CustomResourceDefinitions) http.HandlerFunc {
	definitions := crds.Informers.Apiextensions().V1().CustomResourceDefinitions().Lister()
	return func(w http.ResponseWriter, _ *http.Request) {
		all, err := definitions.List(labels.Everything())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		versions := map[string]map[string]bool{apiextensionsv1.GroupName: {"v1": true}}
		for _, d := range all {
			for _, v := range d.Spec.Versions {
				if versions[d.Spec.Group] == nil {
					versions[d.Spec.Group] = map[string]bool{}
				}
				versions[d.Spec.Group][v.Name] = true
			}
		}
		list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for name, of := range versions {
			g := metav1.APIGroup{Name: name}
			for v := range of {
				g.Versions = append(g.Versions, metav1.GroupVersionForDiscovery{GroupVersion: name + "/" + v, Version: v})
			}
			g.PreferredVersion = g.Versions[0]
			list.Groups = append(list.Groups, g)
		}
		sort.Slice(list.Groups, func(i, j int) bool { return list.Groups[i].Name < list.Groups[j].Name })
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	}
}

var (
	coreScheme = runtime.NewScheme()
	coreCodecs = serializer.NewCodecFactory(coreScheme)
)

// The types of v1 are their own internal form: nothing is converted.
func init() {
	internal := schema.GroupVersion{Version: runtime.APIVersionInternal}
	for _, o := range []runtime.Object{
		&corev1.Namespace{}, &corev1.NamespaceList{}, &corev1.Node{}, &corev1.NodeList{}, &corev1.Pod{}, &corev1.PodList{}, &corev1.ConfigMap{}, &corev1.ConfigMapList{},
	} {
		coreScheme.AddKnownTypes(corev1.SchemeGroupVersion, o)
		coreScheme.AddKnownTypes(internal, o)
	}
	metav1.AddToGroupVersion(coreScheme, corev1.SchemeGroupVersion)
	must(coreScheme.SetVersionPriority(corev1.SchemeGroupVersion))
	coreScheme.AddUnversionedTypes(corev1.SchemeGroupVersion, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
}

// coreDefinitions describes v1's kinds as objects of any fields.
func coreDefinitions(reference common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	definitions := crdopenapi.GetOpenAPIDefinitions(reference)
	for _, name := range []string{"Namespace", "Node", "Pod", "ConfigMap"} {
		for _, suffix := range []string{"", "List"} {
			definitions["io.k8s.api.core.v1."+name+suffix] = anyObject()
		}
	}
	return definitions
}

func anyObject() common.OpenAPIDefinition {
	preserve := spec.VendorExtensible{Extensions: spec.Extensions{"x-kubernetes-preserve-unknown-fields": true}}
	return common.OpenAPIDefinition{Schema: spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"object"}}, VendorExtensible: preserve}}
}

// strategy takes objects as they are. What a PUT of the object and one of its status leave alone is as in kube-apiserver's registries.
type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
	namespaced bool
	keep       func(object, old runtime.Object)
}

func (s strategy) NamespaceScoped() bool                                          { return s.namespaced }
func (strategy) PrepareForCreate(context.Context, runtime.Object)                 {}
func (strategy) Validate(context.Context, runtime.Object) field.ErrorList         { return nil }
func (strategy) WarningsOnCreate(context.Context, runtime.Object) []string        { return nil }
func (strategy) Canonicalize(runtime.Object)                                      {}
func (strategy) AllowCreateOnUpdate() bool                                        { return false }
func (strategy) AllowUnconditionalUpdate() bool                                   { return true }
func (strategy) WarningsOnUpdate(_ context.Context, _, _ runtime.Object) []string { return nil }
func (strategy) ValidateUpdate(_ context.Context, _, _ runtime.Object) field.ErrorList {
	return nil
}
func (s strategy) PrepareForUpdate(_ context.Context, object, old runtime.Object) {
	if s.keep != nil {
		s.keep(object, old)
	}
}

// statusStore serves the status of a store's objects.
type statusStore struct{ store *registry.Store }

func (s statusStore) New() runtime.Object { return s.store.New() }
func (statusStore) Destroy()              {}
func (s statusStore) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	return s.store.Get(ctx, name, o)
}
func (s statusStore) Update(ctx context.Context, name string, i rest.UpdatedObjectInfo, c rest.ValidateObjectFunc, u rest.ValidateObjectUpdateFunc, _ bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, i, c, u, false, o)
}

func coreResources(getter generic.RESTOptionsGetter) (map[string]rest.Storage, error) {
	resources := map[string]rest.Storage{}
	add := func(plural, singular string, namespaced bool, object, list func() runtime.Object, keepStatus, keepSpec func(object, old runtime.Object)) error {
		of := func(keep func(object, old runtime.Object)) strategy {
			return strategy{coreScheme, names.SimpleNameGenerator, namespaced, keep}
		}
		resource := schema.GroupResource{Resource: plural}
		store := &registry.Store{
			NewFunc: object, NewListFunc: list, DefaultQualifiedResource: resource, SingularQualifiedResource: schema.GroupResource{Resource: singular},
			CreateStrategy: of(nil), UpdateStrategy: of(keepStatus), DeleteStrategy: of(nil), TableConvertor: rest.NewDefaultTableConvertor(resource),
		}
		if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: getter}); err != nil {
			return err
		}
		resources[plural] = store
		if keepSpec != nil {
			status := *store
			status.UpdateStrategy = of(keepSpec)
			resources[plural+"/status"] = statusStore{&status}
		}
		return nil
	}
	return resources, errors.Join(
		add("namespaces", "namespace", false, func() runtime.Object { return &corev1.Namespace{} }, func() runtime.Object { return &corev1.NamespaceList{} }, nil, nil),
		add("configmaps", "configmap", true, func() runtime.Object { return &corev1.ConfigMap{} }, func() runtime.Object { return &corev1.ConfigMapList{} }, nil, nil),
		add("nodes", "node", false, func() runtime.Object { return &corev1.Node{} }, func() runtime.Object { return &corev1.NodeList{} },
			func(object, old runtime.Object) { object.(*corev1.Node).Status = old.(*corev1.Node).Status },
			func(object, old runtime.Object) { object.(*corev1.Node).Spec = old.(*corev1.Node).Spec }),
		add("pods", "pod", true, func() runtime.Object { return &corev1.Pod{} }, func() runtime.Object { return &corev1.PodList{} },
			func(object, old runtime.Object) { object.(*corev1.Pod).Status = old.(*corev1.Pod).Status },
			func(object, old runtime.Object) { object.(*corev1.Pod).Spec = old.(*corev1.Pod).Spec }),
	)
}
