import java.util.Map;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/** A single node on 127.0.0.1 until it is killed: Main DIRECTORY PORT [setting=value]... */
public class Main {
  public static void main(String[] args) throws Exception {
    var runner = new OpenSearchRunner();
    runner.setMaxHttpPort(-1);
    runner.onBuild((number, settings) -> {
      settings.remove("discovery.seed_hosts");
      settings.remove("cluster.initial_cluster_manager_nodes");
      settings.putList("node.roles", "cluster_manager", "data", "ingest");
      var own = Map.of("discovery.type", "single-node", "network.host", "127.0.0.1", "transport.port", "0",
          "http.port", args[1], "cluster.routing.allocation.disk.threshold_enabled", "false");
      own.forEach(settings::put);
      for (int i = 2; i < args.length; i++) {
        var pair = args[i].split("=", 2);
        settings.put(pair[0], pair[1]);
      }
    }).build(OpenSearchRunner.newConfigs().numOfNode(1).basePath(args[0]).clusterName("taffrail")
        .baseHttpPort(Integer.parseInt(args[1]) - 1));
    Thread.currentThread().join();
  }
}
