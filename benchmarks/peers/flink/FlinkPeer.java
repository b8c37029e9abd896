import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.functions.windowing.ProcessAllWindowFunction;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingProcessingTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/**
 * Flink: two tasks of everything, object reuse on, windows of one second of processing time, in one
 * process.
 *
 * <p>Usage: FlinkPeer count|filter-count|word-count checkpoints|off DIR LINES WARM_UP_MS MEASURE_MS. Flink
 * has no log of what it received: a checkpoint, one a second, holds the source's position and the
 * windows. Speed is what whole windows counted, and all counts are told when everything that was
 * fed has been counted.
 */
public final class FlinkPeer {
  private static final int TASKS = 2;
  private static final long WINDOW_MS = 1_000;

  private static volatile boolean isStopping;
  private static final List<LineSource> sources = new CopyOnWriteArrayList<>();

  /** When it stops, it goes on with nothing: windows of an ended input would never be counted. */
  private static final class LineSource implements GeneratorFunction<Long, String> {
    private volatile long fed = -1;
    private long next;

    @Override
    public void open(SourceReaderContext context) {
      sources.add(this);
    }

    @Override
    public String map(Long index) throws InterruptedException {
      if (!isStopping) return Work.line(next++);
      fed = next;
      Thread.sleep(1);
      return "";
    }
  }

  /** What each window counted, by the time of its end. */
  private static final TreeMap<Long, Long> counts = new TreeMap<>();

  private static long weighted;

  private static synchronized void counted(long windowEndMs, long count, long weight) {
    counts.merge(windowEndMs, count, Long::sum);
    weighted += count * weight;
  }

  private static synchronized long total() {
    return counts.values().stream().mapToLong(Long::longValue).sum();
  }

  private static final class Selected
      extends ProcessAllWindowFunction<Long, Long, TimeWindow> {
    @Override
    public void process(Context window, Iterable<Long> sums, Collector<Long> out) {
      for (long sum : sums) counted(window.window().getEnd(), sum, 0);
    }
  }

  private static final class Words
      extends ProcessWindowFunction<Tuple2<String, Long>, Long, String, TimeWindow> {
    @Override
    public void process(
        String word, Context window, Iterable<Tuple2<String, Long>> sums, Collector<Long> out) {
      for (Tuple2<String, Long> sum : sums) {
        counted(window.window().getEnd(), sum.f1, Work.weight(word));
      }
    }
  }

  public static void main(String[] args) throws Exception {
    boolean isWordCount = args[0].equals("word-count");
    Work.load(args[0], args[3]);
    StreamExecutionEnvironment environment = open(args[2], args[1].equals("checkpoints"));
    DataStream<String> lines =
        environment.fromSource(
            new DataGeneratorSource<>(new LineSource(), Long.MAX_VALUE, Types.STRING),
            WatermarkStrategy.noWatermarks(),
            "lines");
    DataStream<Long> nothing = isWordCount ? countWords(lines) : countSelected(lines);
    nothing.sinkTo(new DiscardingSink<>());
    environment.executeAsync("peer");
    while (sources.size() < TASKS) Thread.sleep(1);
    long fromMs = System.currentTimeMillis() + Long.parseLong(args[4]);
    long toMs = fromMs + Long.parseLong(args[5]) + WINDOW_MS; // the first window is not a whole one
    Thread.sleep(toMs - System.currentTimeMillis());
    isStopping = true;
    List<Long> fed = drain(isWordCount);
    answer(isWordCount, fromMs, toMs, fed);
    Runtime.getRuntime().halt(0);
  }

  private static StreamExecutionEnvironment open(String directory, boolean hasCheckpoints) {
    Configuration configuration = new Configuration();
    configuration.setString("rest.address", "127.0.0.1");
    configuration.setString("rest.bind-address", "127.0.0.1");
    configuration.setString("rest.bind-port", "0");
    configuration.setString("io.tmp.dirs", directory);
    if (hasCheckpoints) {
      configuration.setString("execution.checkpointing.interval", "1s");
      configuration.setString("execution.checkpointing.storage", "filesystem");
      configuration.setString("execution.checkpointing.dir", "file://" + directory + "/checkpoints");
    }
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.createLocalEnvironment(TASKS, configuration);
    environment.getConfig().enableObjectReuse();
    return environment;
  }

  private static DataStream<Long> countSelected(DataStream<String> lines) {
    return lines
        .filter(Work::isSelected)
        .map(line -> 1L)
        .returns(Types.LONG)
        .windowAll(TumblingProcessingTimeWindows.of(Duration.ofMillis(WINDOW_MS)))
        .reduce(Long::sum, new Selected(), Types.LONG);
  }

  private static DataStream<Long> countWords(DataStream<String> lines) {
    TypeInformation<Tuple2<String, Long>> counted = Types.TUPLE(Types.STRING, Types.LONG);
    return lines
        .flatMap(FlinkPeer::split)
        .returns(counted)
        .keyBy(count -> count.f0, Types.STRING)
        .window(TumblingProcessingTimeWindows.of(Duration.ofMillis(WINDOW_MS)))
        .reduce((a, b) -> Tuple2.of(a.f0, a.f1 + b.f1), new Words(), Types.LONG);
  }

  private static void split(String line, Collector<Tuple2<String, Long>> out) {
    if (line.isEmpty()) return;
    for (String word : line.split(" ")) out.collect(Tuple2.of(word, 1L));
  }

  /** Waits until what was fed has been counted. @return what each source was fed. */
  private static List<Long> drain(boolean isWordCount) throws InterruptedException {
    long limitMs = System.currentTimeMillis() + Work.DRAIN_MS_MAX;
    List<Long> fed;
    do {
      Thread.sleep(10);
      fed = sources.stream().map(source -> source.fed).toList();
    } while ((fed.contains(-1L)
            || fed.stream().mapToLong(count -> Work.sum(isWordCount, count)).sum() != total())
        && System.currentTimeMillis() < limitMs);
    return fed;
  }

  /** From the windows that lie whole within the measured time. */
  private static void answer(boolean isWordCount, long fromMs, long toMs, List<Long> fed) {
    long sum = 0;
    List<Long> ends = new ArrayList<>();
    for (Map.Entry<Long, Long> window : counts.entrySet()) {
      if (window.getKey() - WINDOW_MS < fromMs || window.getKey() > toMs) continue;
      sum += window.getValue();
      ends.add(window.getKey());
    }
    double seconds = (ends.get(ends.size() - 1) - ends.get(0) + WINDOW_MS) / 1e3;
    String sums = isWordCount ? "\"words\":%d,\"weighted\":%d" : "\"selected\":%d";
    double records = Work.recordsOf(isWordCount, sum);
    Work.answer(records, seconds, fed, sums.formatted(total(), weighted));
  }
}
