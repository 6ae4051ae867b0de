// The structure of the reviews: authorization.k8s.io/v1 and authentication.k8s.io/v1, as far as they are answered.
// https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/, …/authentication-resources/
import { anything, boolean, list, map, object, resource, type Schema, string } from "../../api/schema.ts";

const texts = (description: string, each: string): Schema => list(description, string(each), { "x-kubernetes-list-type": "atomic" });

const attributes = {
  resourceAttributes: object("What is to be done to which objects.", {
    verb: string("A verb of the API, or * for all."),
    group: string("Group of the kind, or * for all; empty for the core group."),
    version: string("Not looked at."),
    resource: string("Plural of the kind, or * for all."),
    subresource: string("Subresource, such as status."),
    namespace: string("Not looked at: roles are for the whole cluster."),
    name: string("Not looked at: roles are for all objects of a kind."),
    fieldSelector: anything("Not looked at."),
    labelSelector: anything("Not looked at."),
  }),
  nonResourceAttributes: object("What is to be done to which path.", { verb: string("The method, in lower case."), path: string("The path.") }),
};
const extra = map("What else is known.", texts("Values.", "A value."));
const groups = texts("Groups.", "A group.");

const ALLOWED = object(
  "The answer.",
  {
    allowed: boolean("Whether it is allowed."),
    denied: boolean("Never: what no role allows is not allowed."),
    reason: string("Which role allows it."),
    evaluationError: string("Never."),
  },
  ["allowed"],
);
const USER = object("Who it is.", { username: string("Name."), uid: string("Identity."), groups, extra });

export const SELF_SUBJECT_ACCESS_REVIEW: Schema = resource(
  "Whether who asks may do something.",
  { spec: object("The question: one of the two.", attributes), status: ALLOWED },
  ["spec"],
);
export const SUBJECT_ACCESS_REVIEW: Schema = resource(
  "Whether somebody may do something.",
  { spec: object("The question.", { ...attributes, user: string("Name."), uid: string("Identity."), groups, extra }), status: ALLOWED },
  ["spec"],
);
export const SELF_SUBJECT_RULES_REVIEW: Schema = resource(
  "All that who asks may do.",
  {
    spec: object("The question.", { namespace: string("Not looked at: roles are for the whole cluster.") }),
    status: object(
      "The answer.",
      {
        resourceRules: list(
          "What may be done to objects.",
          object(
            "A rule.",
            {
              verbs: texts("Verbs.", "A verb."),
              apiGroups: texts("Groups of kinds.", "A group."),
              resources: texts("Kinds, and their subresources.", "A plural."),
              resourceNames: texts("Never: rules are for all objects of a kind.", "A name."),
            },
            ["verbs"],
          ),
          { "x-kubernetes-list-type": "atomic" },
        ),
        nonResourceRules: list(
          "What may be done to paths.",
          object("A rule.", { verbs: texts("Methods.", "A method."), nonResourceURLs: texts("Paths.", "A path.") }, ["verbs"]),
          { "x-kubernetes-list-type": "atomic" },
        ),
        incomplete: boolean("Never: it is all that there is."),
        evaluationError: string("Never."),
      },
      ["resourceRules", "nonResourceRules", "incomplete"],
    ),
  },
  ["spec"],
);
export const SELF_SUBJECT_REVIEW: Schema = resource("Who asks.", { status: object("The answer.", { userInfo: USER }) });
export const TOKEN_REVIEW: Schema = resource(
  "Whose a token is.",
  {
    spec: object("The question.", { token: string("The token; not in the answer."), audiences: texts("Not looked at.", "An audience.") }),
    status: object("The answer.", {
      authenticated: boolean("Whether the token is good."),
      user: USER,
      audiences: texts("Never.", "An audience."),
      error: string("Why it is not good."),
    }),
  },
  ["spec"],
);
