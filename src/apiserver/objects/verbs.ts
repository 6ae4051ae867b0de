// The verbs of the API on one kind: from a request whose asker may, to an answer.
import { badRequest, isApiError, methodNotAllowed } from "../../api/status.ts";
import { answer, answerList, answerObject, checkForm, plainJson } from "../wire/answer.ts";
import { decodeObject } from "../wire/body.ts";
import { readPatch } from "../wire/patch.ts";
import type { ApiRequest, ApiResponse, Target, Verb } from "../wire/request.ts";
import { checkPreconditions } from "./deletion.ts";
import { list, listBody } from "./list.ts";
import { mayBeDeleted } from "./namespaces.ts";
import { deleteOptions, invalidOption, writeOptions } from "./options.ts";
import { itemsOf, type Registry } from "./registry.ts";
import { reached, versionOf } from "./select.ts";
import { watch } from "./watch.ts";

export type VerbContext = {
  readonly registry: Registry;
  readonly now: () => number;
  readonly random: () => number;
};

/** Answers `verb` on `target`, which authorization has let through. Throws ApiError. */
export async function act(verb: Verb, target: Target, request: ApiRequest, context: VerbContext): Promise<ApiResponse> {
  const { registry, now, random } = context;
  const { kind, namespace, name } = target;
  checkForm(request);
  switch (verb) {
    case "get": {
      if (target.subresource === "finalize") throw methodNotAllowed(kind);
      const version = versionOf(request.query);
      if (version !== undefined) await reached(registry.store, version, request);
      return answerObject(request, now(), kind, await registry.get(kind, namespace, name));
    }
    case "list": {
      const { items, metadata } = await list(registry, kind, namespace, request);
      if (plainJson(request))
        return {
          code: 200,
          headers: { "content-type": "application/json" },
          body: listBody(registry, kind, namespace, request, { items, metadata }),
        };
      return answerList(request, now(), kind, itemsOf(registry, kind, items), metadata);
    }
    case "watch":
      return watch(registry, kind, namespace, request, { now, random });
    case "create": {
      if (name !== "") throw methodNotAllowed(kind);
      if (kind.namespaced && namespace === "") throw badRequest("an empty namespace may not be set during creation");
      const options = writeOptions(request, kind, "CreateOptions");
      const { object, duplicates } = await decodeObject(kind, await request.body(), request.headers["content-type"]);
      const written = await registry.create(target, object, duplicates, options);
      const response = await answerObject(request, now(), kind, written.object, { code: 201, warnings: written.warnings });
      return { ...response, made: written.object.metadata.name };
    }
    case "update": {
      if (name === "") throw methodNotAllowed(kind);
      const options = writeOptions(request, kind, "UpdateOptions");
      const { object, duplicates } = await decodeObject(kind, await request.body(), request.headers["content-type"]);
      const written = await registry.update(target, object, duplicates, options);
      return answerObject(request, now(), kind, written.object, { warnings: written.warnings });
    }
    case "patch": {
      if (name === "" || target.subresource === "finalize") throw methodNotAllowed(kind);
      const options = writeOptions(request, kind, "PatchOptions");
      const patch = await readPatch(kind, await request.body(), request.headers["content-type"]);
      if (request.query.has("force")) throw invalidOption("PatchOptions", "force", "Forbidden: may not be specified for non-apply patch");
      const written = await registry.patch(target, patch, options);
      return answerObject(request, now(), kind, written.object, { warnings: written.warnings });
    }
    case "delete": {
      if (target.subresource !== "") throw methodNotAllowed(kind);
      const options = await deleteOptions(request, kind);
      if (kind.plural === "namespaces") mayBeDeleted(name);
      const gone = await registry.remove(target, options);
      return "status" in gone && gone.kind === "Status" ? answer(request, 200, gone) : answerObject(request, now(), kind, gone);
    }
    case "deletecollection": {
      const options = await deleteOptions(request, kind);
      if (kind.plural === "namespaces") throw methodNotAllowed(kind);
      const { items: found, metadata } = await list(registry, kind, namespace, request);
      const items = itemsOf(registry, kind, found);
      for (const object of items) checkPreconditions(kind, object, options);
      for (const { metadata: m } of items)
        await registry.remove({ ...target, namespace: m.namespace ?? "", name: m.name }, options).catch((thrown: unknown) => {
          // Somebody else was faster.
          if (!isApiError(thrown, "NotFound")) throw thrown;
        });
      return answerList(request, now(), kind, items, { resourceVersion: metadata.resourceVersion });
    }
  }
}
