// Resources that Kubernetes does not know by itself, as JSON on standard input: one line for each fault.
//
// The packages check types and what is required, but not unknown fields. So each resource is shown to them through a proxy
// that records which fields were read: what no validator reads is no field.

import { readFileSync } from "node:fs";
import { HTTPRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1";
import { PrometheusRule, ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const MODELS = { HTTPRoute, PrometheusRule, ScaledObject, ServiceMonitor };

function watched(value, path, unread) {
  if (value === null || typeof value !== "object") return value;
  for (const name of Object.keys(value)) unread.add(`${path}/${name}`);
  const parts = new Map();
  return new Proxy(value, {
    get(target, name) {
      if (!Object.hasOwn(target, name) || typeof name === "symbol") return Reflect.get(target, name);
      unread.delete(`${path}/${name}`);
      if (!parts.has(name)) parts.set(name, watched(target[name], `${path}/${name}`, unread));
      return parts.get(name);
    },
  });
}

const faults = [];
for (const resource of JSON.parse(readFileSync(0, "utf-8"))) {
  const where = `${resource.kind} ${resource.metadata.name}`;
  const model = MODELS[resource.kind];
  const unread = new Set();
  try {
    if (model === undefined) throw new Error("there is no schema of this kind here");
    const known = new model({ metadata: { name: "known" } });
    if (resource.apiVersion !== known.apiVersion) throw new Error(`${resource.apiVersion} is not ${known.apiVersion}`);
    model.prototype.validate.call(watched(resource, "", unread));
  } catch (error) {
    faults.push(`${where}: ${error.message}`);
    continue;
  }
  for (const path of unread) faults.push(`${where}: ${path} is no field`);
}
for (const fault of faults) console.log(fault);
