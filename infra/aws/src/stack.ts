import { Stack, type StackProps, Tags } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { Database } from "./database.js";
import { Network } from "./network.js";
import { type Release, Services } from "./services.js";
import type { Stage } from "./stage.js";
import { Watch } from "./watch.js";

/** One environment of Palisade. */
export class PalisadeStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, release: Release, props?: StackProps) {
    super(scope, id, { terminationProtection: stage.keepsData, ...props });
    const network = new Network(this, "Network", stage);
    const database = new Database(this, "Database", stage, network);
    const services = new Services(this, "Services", stage, network, database, release);
    new Watch(this, "Watch", network, database, services);
    Tags.of(this).add("palisade:stage", stage.name);
  }
}
