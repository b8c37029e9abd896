import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import org.apache.spark.SparkConf;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.streaming.Durations;
import org.apache.spark.streaming.api.java.JavaDStream;
import org.apache.spark.streaming.api.java.JavaStreamingContext;
import org.apache.spark.streaming.receiver.Receiver;
import org.apache.spark.streaming.scheduler.BatchInfo;
import org.apache.spark.streaming.scheduler.StreamingListener;
import org.apache.spark.streaming.scheduler.StreamingListenerBatchCompleted;
import scala.Tuple2;

/**
 * Spark Streaming: receivers, batches of one second, in one process.
 *
 * <p>Usage: SparkPeer count|filter-count|word-count wal|off DIR LINES WARM_UP_MS MEASURE_MS. The receiver
 * stores blocks itself, which saves Spark its block generator; with the log on, store returns when the
 * block is in memory and in the receiver log. Speed is what was completed between two completions
 * of batches, and all counts are told when everything that was stored has been counted.
 */
public final class SparkPeer {
  private static final int BLOCK_RECORDS = Integer.getInteger("blockRecords", 50_000);

  /** Records that no batch has counted yet, at most: what memory is for. */
  private static final AtomicLong pendingMax = new AtomicLong();

  private static final int RECEIVERS = Integer.getInteger("receivers", 1);

  /** By each receiver, which all begin with the first line. */
  private static final AtomicLongArray made = new AtomicLongArray(RECEIVERS);

  private static final AtomicLong counted = new AtomicLong();
  private static volatile boolean isStopping;

  /** The receivers' threads: nothing is stored when they have ended. */
  private static final List<Thread> receiving = new CopyOnWriteArrayList<>();

  private static final class LineReceiver extends Receiver<String> {
    private final int index;

    LineReceiver(int index) {
      super(StorageLevel.MEMORY_ONLY_SER());
      this.index = index;
    }

    @Override
    public void onStart() {
      Thread thread = new Thread(this::storeBlocks, "lines");
      thread.setDaemon(true);
      receiving.add(thread);
      thread.start();
    }

    @Override
    public void onStop() {}

    private void storeBlocks() {
      while (!isStopping && !isStopped()) {
        if (madeInAll() - counted.get() > pendingMax.get()) {
          LockSupport.parkNanos(1_000_000);
          continue;
        }
        long first = made.get(index);
        store(block(first));
        made.set(index, first + BLOCK_RECORDS);
      }
    }

    private static Iterator<String> block(long first) {
      return new Iterator<>() {
        private int next;

        @Override
        public boolean hasNext() {
          return next < BLOCK_RECORDS;
        }

        @Override
        public String next() {
          return Work.line(first + next++);
        }
      };
    }
  }

  /** Hears of completed batches, in their order. */
  private static final class Batches implements StreamingListener {
    private final List<long[]> ended = new ArrayList<>();

    @Override
    public synchronized void onBatchCompleted(StreamingListenerBatchCompleted event) {
      BatchInfo batch = event.batchInfo();
      counted.addAndGet(batch.numRecords());
      ended.add(new long[] {(Long) batch.processingEndTime().get(), batch.numRecords()});
      notifyAll();
    }

    /** Waits for a batch with records that ends at this time or later. */
    synchronized int firstFrom(long timeMs) throws InterruptedException {
      for (int n = 0; ; n++) {
        while (n >= ended.size()) wait();
        if (ended.get(n)[0] >= timeMs && ended.get(n)[1] > 0) return n;
      }
    }

    synchronized long[] at(int index) {
      return ended.get(index);
    }

    synchronized long recordsBetween(int first, int last) {
      return ended.subList(first + 1, last + 1).stream().mapToLong(batch -> batch[1]).sum();
    }
  }

  private static final AtomicLong total = new AtomicLong();
  private static final AtomicLong weighted = new AtomicLong();

  public static void main(String[] args) throws Exception {
    boolean isWordCount = args[0].equals("word-count");
    boolean hasLog = args[1].equals("wal");
    Work.load(args[0], args[3]);
    pendingMax.set(isWordCount ? 3_000_000 : 8_000_000);
    JavaStreamingContext context = open(args[2], hasLog);
    JavaDStream<String> lines = context.receiverStream(new LineReceiver(0));
    for (int index = 1; index < RECEIVERS; index++) {
      lines = lines.union(context.receiverStream(new LineReceiver(index)));
    }
    if (isWordCount) countWords(lines);
    else countSelected(lines);
    Batches batches = new Batches();
    context.addStreamingListener(batches);
    context.start();
    while (madeInAll() == 0) Thread.sleep(1);
    long startedMs = System.currentTimeMillis();
    int first = batches.firstFrom(startedMs + Long.parseLong(args[4]));
    long[] begin = batches.at(first);
    int last = batches.firstFrom(begin[0] + Long.parseLong(args[5]));
    long records = batches.recordsBetween(first, last);
    double seconds = (batches.at(last)[0] - begin[0]) / 1e3;
    isStopping = true;
    for (Thread thread : receiving) thread.join(Work.DRAIN_MS_MAX);
    long limitMs = System.currentTimeMillis() + Work.DRAIN_MS_MAX;
    while (counted.get() < madeInAll() && System.currentTimeMillis() < limitMs) Thread.sleep(5);
    String sums = isWordCount ? "\"words\":%d,\"weighted\":%d" : "\"selected\":%d";
    List<Long> fed = new ArrayList<>();
    for (int index = 0; index < RECEIVERS; index++) fed.add(made.get(index));
    Work.answer(records, seconds, fed, sums.formatted(total.get(), weighted.get()));
    Runtime.getRuntime().halt(0); // a graceful end takes seconds and changes nothing
  }

  private static long madeInAll() {
    long sum = 0;
    for (int index = 0; index < RECEIVERS; index++) sum += made.get(index);
    return sum;
  }

  private static JavaStreamingContext open(String directory, boolean hasLog) {
    SparkConf conf =
        new SparkConf()
            .setAppName("peer")
            .setMaster("local[" + (2 + RECEIVERS) + "]") // each receiver keeps one for itself
            .set("spark.ui.enabled", "false")
            .set("spark.driver.bindAddress", "127.0.0.1")
            .set("spark.driver.host", "127.0.0.1")
            .set("spark.local.dir", directory + "/local")
            .set("spark.serializer", "org.apache.spark.serializer.KryoSerializer")
            .set("spark.streaming.receiver.writeAheadLog.enable", String.valueOf(hasLog));
    JavaStreamingContext context = new JavaStreamingContext(conf, Durations.seconds(1));
    context.sparkContext().setLogLevel("ERROR");
    if (hasLog) context.checkpoint("file://" + directory + "/checkpoint"); // the logs are there
    return context;
  }

  private static void countSelected(JavaDStream<String> lines) {
    lines
        .filter(Work::isSelected)
        .count()
        .foreachRDD(counts -> counts.collect().forEach(total::addAndGet));
  }

  private static void countWords(JavaDStream<String> lines) {
    lines
        .flatMap(line -> List.of(line.split(" ")).iterator())
        .mapToPair(word -> new Tuple2<>(word, 1L))
        .reduceByKey(Long::sum, 2)
        .foreachRDD(
            counts ->
                counts
                    .collect()
                    .forEach(
                        count -> {
                          total.addAndGet(count._2);
                          weighted.addAndGet(count._2 * Work.weight(count._1));
                        }));
  }
}
