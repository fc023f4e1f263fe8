#include "ring_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <span>

#include <banyan/core/random.hpp>

#include "table.hpp"

namespace banyan::lab {
namespace {

constexpr std::size_t rounds = 15;        // of look-ups
constexpr std::size_t change_rounds = 5;  // and of changes, which take longer
constexpr std::size_t batch = 1 << 14;    // look-ups of a round: short enough to fit between two interruptions
constexpr std::uint32_t set_distance = 100'000;

using node_vector = std::vector<weighted_node<std::uint32_t>>;
using clock = std::chrono::steady_clock;

double weight_of(std::size_t node, const ring_options& options) {
  return options.weights[node % options.weights.size()];
}

node_vector nodes_of(std::size_t count, std::size_t set, const ring_options& options) {
  node_vector nodes;
  for (std::size_t i = 0; i < count; ++i) {
    nodes.push_back({static_cast<std::uint32_t>(i + set * set_distance), weight_of(i, options)});
  }
  return nodes;
}

// Tables before a change and after it, each asked for the same keys.
struct change {
  std::unique_ptr<ring_subject> before;
  std::unique_ptr<ring_subject> more;
  std::unique_ptr<ring_subject> fewer;
  std::uint32_t fresh;
  std::uint32_t gone;
};

change make_change(const ring_algorithm& algorithm, const node_vector& nodes, const ring_options& options) {
  change made{algorithm.make(nodes, options.tuning), nullptr, nullptr, nodes.back().node + 1, nodes.back().node};
  // One of the middle goes where any may: the last one might be a favourable case.
  if (algorithm.any_node_may_go) made.gone = nodes[nodes.size() / 2].node;
  made.more = made.before->copy();
  made.more->add(made.fresh, weight_of(nodes.size(), options));
  made.fewer = made.before->copy();
  made.fewer->remove(made.gone);
  return made;
}

void judge(ring_run& run, const change& tables, const node_vector& nodes, std::size_t set,
           const ring_options& options) {
  const std::size_t keys = options.keys_per_node * nodes.size();
  splitmix64 random{mix_bits(mix_bits(options.seed) + set)};  // mixed, or the sets would share most of their keys
  std::vector<std::uint64_t> held(nodes.size());
  std::size_t in = 0;
  std::size_t gained = 0;
  std::size_t out = 0;
  std::size_t needless = 0;
  constexpr std::size_t portion = 1 << 12;
  std::vector<std::uint64_t> hashes(portion);
  std::vector<std::uint32_t> before(portion);
  std::vector<std::uint32_t> more(portion);
  std::vector<std::uint32_t> fewer(portion);
  for (std::size_t done = 0; done < keys;) {
    const std::size_t now = std::min(portion, keys - done);
    hashes.resize(now);
    for (std::uint64_t& hash : hashes) hash = random();
    tables.before->owners(hashes, before);
    tables.more->owners(hashes, more);
    tables.fewer->owners(hashes, fewer);
    for (std::size_t i = 0; i < now; ++i) {
      ++held[before[i] - nodes.front().node];
      const bool moved_in = before[i] != more[i];
      const bool moved_out = before[i] != fewer[i];
      in += moved_in ? 1U : 0U;
      gained += more[i] == tables.fresh ? 1U : 0U;
      out += moved_out ? 1U : 0U;
      needless += (moved_in && more[i] != tables.fresh ? 1U : 0U) + (moved_out && before[i] != tables.gone ? 1U : 0U);
    }
    done += now;
  }
  const double weight =
      std::accumulate(nodes.begin(), nodes.end(), 0.0, [](double sum, const auto& node) { return sum + node.weight; });
  double fullest = 0;
  double squares = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const double load = static_cast<double>(held[i]) * weight / (static_cast<double>(keys) * nodes[i].weight);
    if (set == 0) run.loads.push_back(static_cast<float>(load));
    fullest = std::max(fullest, load);
    squares += (load - 1) * (load - 1);
  }
  const auto sets = static_cast<double>(options.sets);
  run.fullest += fullest / sets;
  run.deviation += std::sqrt(squares / static_cast<double>(nodes.size())) / sets;
  run.moved_in += static_cast<double>(in) / static_cast<double>(std::max<std::size_t>(gained, 1)) / sets;
  const std::uint64_t lost = held[tables.gone - nodes.front().node];
  run.moved_out += static_cast<double>(out) / static_cast<double>(std::max<std::uint64_t>(lost, 1)) / sets;
  run.needless += static_cast<double>(needless) / 2 / static_cast<double>(keys) / sets;
}

template <class F>
double microseconds(F work) {
  const auto begin = clock::now();
  work();
  return std::chrono::duration<double, std::micro>(clock::now() - begin).count();
}

// The answers must be used, or no look-up is made.
volatile std::uint64_t sink;

// All tables in turns, because others may use the machine; the least of the rounds counts.
void measure(std::vector<ring_run>& runs, const std::vector<std::unique_ptr<ring_subject>>& subjects,
             const node_vector& nodes, const ring_options& options, progress& bar) {
  constexpr double never = std::numeric_limits<double>::infinity();
  for (ring_run& run : runs) run.look_up_ns = run.build_us = run.change_us = never;
  splitmix64 random{options.seed};
  std::vector<std::uint64_t> hashes(batch);
  std::vector<std::uint64_t> warm(batch);
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::uint64_t& hash : hashes) hash = random();
    for (std::uint64_t& hash : warm) hash = random();
    for (std::size_t i = 0; i < runs.size(); ++i) {
      sink = subjects[i]->look_up(warm);  // the others' tables have pushed this one out of the cache
      const double took = microseconds([&] { sink = subjects[i]->look_up(hashes); });
      runs[i].look_up_ns = std::min(runs[i].look_up_ns, took * 1000 / static_cast<double>(batch));
    }
    bar.advance(runs.size());
  }
  const std::uint32_t fresh = nodes.back().node + 1;
  const double weight = weight_of(nodes.size(), options);
  for (std::size_t round = 0; round < change_rounds; ++round) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
      std::unique_ptr<ring_subject> built;
      const double took = microseconds([&] { built = runs[i].algorithm->make(nodes, options.tuning); });
      runs[i].build_us = std::min(runs[i].build_us, took);
      runs[i].change_us = std::min(runs[i].change_us, microseconds([&] {
                                     built->add(fresh, weight);
                                     built->remove(fresh);
                                   }));
    }
    bar.advance(runs.size());
  }
}

const ring_run& least(const std::vector<const ring_run*>& runs, double ring_run::*value) {
  return **std::min_element(runs.begin(), runs.end(),
                            [&](const ring_run* a, const ring_run* b) { return a->*value < b->*value; });
}

std::string read(const ring_result& result) {
  std::vector<const ring_run*> all;
  std::vector<const ring_run*> faithful;
  for (const ring_run& run : result.runs) {
    if (run.algorithm->name == "modulo") continue;
    all.push_back(&run);
    if (run.needless == 0 && run.algorithm->any_node_may_go) faithful.push_back(&run);
  }
  if (all.empty()) return "Nothing to compare modulo with.";
  const ring_run& even = least(all, &ring_run::fullest);
  std::string text = fmt::format("{} is the most even: its fullest node has {:.2f} times its share.",
                                 even.algorithm->name, even.fullest);
  if (!result.options.times) return text;
  const ring_run& fastest = least(all, &ring_run::look_up_ns);
  text += fmt::format(" {} looks up fastest, in {:.1f} ns", fastest.algorithm->name, fastest.look_up_ns);
  if (fastest.needless > 0) text += fmt::format(", and moves {:.2f}% of the keys for nothing", fastest.needless * 100);
  if (!fastest.algorithm->any_node_may_go) text += ", but only the last node can go";
  text += ".";
  if (faithful.empty()) return text;
  const ring_run& best = least(faithful, &ring_run::look_up_ns);
  if (best.algorithm == fastest.algorithm) return text;
  return text + fmt::format(" Of those that move nothing for nothing and let any node go it is {}, in {:.1f} ns.",
                            best.algorithm->name, best.look_up_ns);
}

std::string short_time(double value) { return fmt::format("{:.{}f}", value, value < 10 ? 1 : 0); }

}  // namespace

std::vector<ring_column> ring_columns(const ring_options& options) {
  const auto percent = [](double value) { return fmt::format("{:.2f}%", value * 100); };
  const auto times = [](double value) { return fmt::format("{:.2f}x", value); };
  std::vector<ring_column> columns = {
      {"max/share", &ring_run::fullest, [](double value) { return fmt::format("{:.3f}", value); }},
      {"deviation", &ring_run::deviation, percent},
      {"added", &ring_run::moved_in, times},
      {"removed", &ring_run::moved_out, times},
      {"needless", &ring_run::needless, percent},
      {"look-up ns", &ring_run::look_up_ns, short_time, true},
      {"build us", &ring_run::build_us, short_time, true},
      {"in+out us", &ring_run::change_us, short_time, true},
      {"bytes/node", &ring_run::bytes_a_node, [](double value) { return fmt::format("{:.0f}", value); }}};
  if (!options.times) std::erase_if(columns, [](const ring_column& column) { return column.timed; });
  return columns;
}

std::string best_text(const ring_result& result, const ring_column& column) {
  const ring_run* best = nullptr;
  bool differ = false;
  for (const ring_run& run : result.runs) {
    if (run.algorithm->name == "modulo") continue;
    if (best != nullptr && run.*column.value != best->*column.value) differ = true;
    if (best == nullptr || run.*column.value < best->*column.value) best = &run;
  }
  return differ ? column.text(best->*column.value) : std::string{};
}

table ring_table(std::string corner, const ring_result& result) {
  return table_of_runs(
      std::move(corner), result, ring_columns(result.options),
      [](const ring_run& run) {
        return table::cell{std::string(run.algorithm->name), false, std::string(run.algorithm->description)};
      },
      [](const ring_column& column, const ring_run& run) { return column.text(run.*column.value); });
}

ring_result study_rings(std::size_t nodes, const std::vector<std::string>& algorithms, const ring_options& options,
                        progress& bar) {
  ring_result result{.nodes = nodes, .options = options};
  for (const ring_algorithm& each : ring_algorithms()) {
    const bool asked = std::find(algorithms.begin(), algorithms.end(), each.name) != algorithms.end();
    if (asked && nodes <= each.most_nodes) result.runs.push_back({.algorithm = &each});
  }
  bar.begin(fmt::format("{} nodes", with_commas(nodes)), result.runs.size() * (options.sets + rounds + change_rounds));
  const node_vector first = nodes_of(nodes, 0, options);
  std::vector<std::unique_ptr<ring_subject>> subjects;
  for (ring_run& run : result.runs) {
    bar.step(std::string{run.algorithm->name});
    for (std::size_t set = 0; set < options.sets; ++set) {
      const node_vector members = nodes_of(nodes, set, options);
      change tables = make_change(*run.algorithm, members, options);
      judge(run, tables, members, set, options);
      if (set == 0) subjects.push_back(std::move(tables.before));
      bar.advance(1);
    }
    run.bytes_a_node = static_cast<double>(subjects.back()->memory()) / static_cast<double>(nodes);
  }
  bar.step("times");
  if (options.times) measure(result.runs, subjects, first, options, bar);
  bar.end();
  result.reading = read(result);
  return result;
}

std::string describe(const ring_options& options) {
  const std::size_t sets = options.sets;
  return fmt::format("Weights {} in turn, {} random keys a node, mean of {} {} of nodes",
                     fmt::join(options.weights, ", "), with_commas(options.keys_per_node), sets,
                     sets == 1 ? "set" : "sets");
}

}  // namespace banyan::lab
