// Content negotiation: what the asker wants, left to right, the first that we can give. Media types of Kubernetes carry parameters (as, v, g).

export type MediaType = { readonly type: string; readonly parameters: Readonly<Record<string, string>> };

export function parseAccept(header: string | undefined): MediaType[] {
  const text = header === undefined || header.trim() === "" ? "*/*" : header;
  return text
    .slice(0, 4096)
    .split(",")
    .map((part) => {
      const [type = "", ...rest] = part.split(";").map((p) => p.trim());
      const parameters = Object.fromEntries(
        rest.filter((p) => p.includes("=")).map((p) => [p.slice(0, p.indexOf("=")).trim(), p.slice(p.indexOf("=") + 1).trim()]),
      );
      return { type: type.toLowerCase(), parameters };
    });
}

/** How an answer is written. `as` is what a list or object is turned into first. */
export type Form = {
  readonly contentType: string;
  readonly as: "Object" | "Table" | "PartialObjectMetadata";
  /** Version of meta.k8s.io for Table and PartialObjectMetadata. */
  readonly version: string;
  readonly yaml: boolean;
};

const isJson = (type: string): boolean => type === "application/json" || type === "*/*" || type === "application/*";

/** Undefined: nothing that we can give (406). */
export function formOf(header: string | undefined): Form | undefined {
  for (const { type, parameters } of parseAccept(header)) {
    const { as, v, g } = parameters;
    if (as !== undefined) {
      const short = as.replace(/List$/, "");
      if (
        type !== "application/json" ||
        g !== "meta.k8s.io" ||
        (v !== "v1" && v !== "v1beta1") ||
        (short !== "Table" && short !== "PartialObjectMetadata")
      )
        continue;
      return { contentType: `application/json;as=${as};v=${v};g=meta.k8s.io`, as: short, version: v, yaml: false };
    }
    if (isJson(type)) return { contentType: "application/json", as: "Object", version: "v1", yaml: false };
    if (type === "application/yaml") return { contentType: "application/yaml", as: "Object", version: "v1", yaml: true };
  }
  return undefined;
}

/** The version of aggregated discovery that is asked for; "legacy": the older documents; undefined: nothing that we can give. */
export function discoveryFormOf(header: string | undefined): { version: string; contentType: string } | "legacy" | undefined {
  for (const { type, parameters } of parseAccept(header)) {
    const { as, v, g } = parameters;
    if (as !== undefined) {
      if (type === "application/json" && g === "apidiscovery.k8s.io" && as === "APIGroupDiscoveryList" && (v === "v2" || v === "v2beta1"))
        return { version: v, contentType: `application/json;g=apidiscovery.k8s.io;v=${v};as=APIGroupDiscoveryList` };
    } else if (isJson(type)) return "legacy";
  }
  return undefined;
}
