import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** What both peers on the JVM share: the lines, what is done with them, and the answer. */
final class Work {
  static final int LINE_COUNT = 1024; // a power of two

  /** Longest wait for what was fed to come out, after the measured time. */
  static final long DRAIN_MS_MAX = 120_000;

  private static String[] lines;
  private static boolean isCountOfAll;

  private Work() {}

  static void load(String workload, String path) throws IOException {
    isCountOfAll = workload.equals("count");
    List<String> all = Files.readAllLines(Path.of(path));
    if (all.size() != LINE_COUNT) throw new IOException(all.size() + " lines in " + path);
    lines = all.toArray(new String[0]);
  }

  /** Record number {@code index}: the same strings come again and again, as on the other side. */
  static String line(long index) {
    return lines[(int) (index & (LINE_COUNT - 1))];
  }

  static boolean isSelected(String line) {
    return isCountOfAll ? !line.isEmpty() : line.endsWith("7");
  }

  /** Makes a sum over counts depend on each word {@code w0} … {@code w999}. */
  static long weight(String word) {
    return Long.parseLong(word.substring(1)) + 1;
  }

  /** Selected lines, or words, in the first {@code count} records. */
  static long sum(boolean isWordCount, long count) {
    long perCycle = 0;
    long rest = 0;
    for (int n = 0; n < LINE_COUNT; n++) {
      long value = isWordCount ? lines[n].split(" ").length : isSelected(lines[n]) ? 1 : 0;
      perCycle += value;
      if (n < count % LINE_COUNT) rest += value;
    }
    return count / LINE_COUNT * perCycle + rest;
  }

  /** How many records a sum stands for. */
  static double recordsOf(boolean isWordCount, long sum) {
    return (double) sum * LINE_COUNT / sum(isWordCount, LINE_COUNT);
  }

  static void answer(double records, double seconds, List<Long> fed, String sums) {
    System.out.printf(
        Locale.ROOT,
        "{\"records\":%.0f,\"seconds\":%.3f,\"fed\":%s,%s}%n",
        records,
        seconds,
        fed,
        sums);
    System.out.flush();
  }
}
