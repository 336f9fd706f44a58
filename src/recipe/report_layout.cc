#include "recipe/report_layout.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

namespace r1 {
namespace {

constexpr int kSweeps = 12, kStraightenings = 300;

// A box or a lane of a line in one row.
struct Item {
  size_t row = 0;
  bool lane = false;
  size_t box = 0;   // which box, or where the lane's line comes from
  double half = 0;  // half of its width
  double x = 0;     // its middle
  std::vector<size_t> above, below;
};

std::vector<size_t> RowsOf(size_t boxes, const std::vector<GraphEdge>& edges) {
  std::vector<size_t> row(boxes, 0), inputs(boxes, 0), outputs(boxes, 0);
  const auto settle = [&](const std::vector<size_t>& at_least) {
    row = at_least;
    for (size_t i = 0; i < boxes; ++i) {  // edges go from lower to higher numbers
      for (const GraphEdge& e : edges) {
        if (e.to == i) row[i] = std::max(row[i], row[e.from] + 1);
      }
    }
  };
  for (const GraphEdge& e : edges) {
    ++inputs[e.to];
    ++outputs[e.from];
  }
  settle(std::vector<size_t>(boxes, 0));
  std::vector<size_t> at_least(boxes, 0);
  for (size_t i = 0; i < boxes; ++i) {
    if (inputs[i] > 0) continue;
    size_t first = std::numeric_limits<size_t>::max();
    for (const GraphEdge& e : edges) {
      if (e.from != i) continue;
      const bool follows = outputs[e.to] == 0 && inputs[e.to] == 1;  // a leaf of this box alone goes where it goes
      if (!follows) first = std::min(first, row[e.to]);
    }
    if (first != std::numeric_limits<size_t>::max()) at_least[i] = first - 1;
  }
  settle(at_least);
  return row;
}

// Rows with at most max_per_row boxes, without empty ones.
std::vector<size_t> Wrapped(const std::vector<size_t>& rank, size_t max_per_row) {
  std::vector<size_t> row(rank.size(), 0);
  size_t next = 0, placed = 0;
  for (size_t r = 0; placed < rank.size(); ++r) {
    size_t in_row = 0;
    for (size_t i = 0; i < rank.size(); ++i) {
      if (rank[i] != r) continue;
      if (in_row == max_per_row) {
        in_row = 0;
        ++next;
      }
      row[i] = next;
      ++in_row;
      ++placed;
    }
    if (in_row > 0) ++next;
  }
  return row;
}

// How much a line between two items wants to be straight: lanes most, lines of neighbouring boxes more than the ends of
// long ones.
double Pull(const Item& a, const Item& b) { return a.lane && b.lane ? 40 : a.lane || b.lane ? 1 : 16; }

// Where an item's neighbours pull it, and how hard; x itself without neighbours.
struct Wish {
  double x = 0, weight = 1;
};

Wish WishOf(const std::vector<Item>& items, size_t item, bool above, bool below) {
  double sum = 0, weight = 0;
  const auto add = [&](const std::vector<size_t>& which) {
    for (const size_t i : which) {
      const double pull = Pull(items[item], items[i]);
      sum += pull * items[i].x;
      weight += pull;
    }
  };
  if (above) add(items[item].above);
  if (below) add(items[item].below);
  return weight == 0 ? Wish{items[item].x, 0.1} : Wish{sum / weight, weight};
}

// The x of a row closest to `wanted` that keeps the order and the distances: pool adjacent violators.
void Place(std::vector<Item>* items, const std::vector<size_t>& row, const std::vector<Wish>& wanted, double gap) {
  struct Pool {
    double sum, weight;
    size_t count;
    double mean() const { return sum / weight; }
  };
  std::vector<Pool> pools;
  std::vector<double> offset(row.size(), 0);
  for (size_t i = 0; i < row.size(); ++i) {
    if (i > 0) offset[i] = offset[i - 1] + (*items)[row[i - 1]].half + gap + (*items)[row[i]].half;
    pools.push_back({(wanted[i].x - offset[i]) * wanted[i].weight, wanted[i].weight, 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
      const Pool last = pools.back();
      pools.pop_back();
      pools.back().sum += last.sum;
      pools.back().weight += last.weight;
      pools.back().count += last.count;
    }
  }
  size_t i = 0;
  for (const Pool& pool : pools) {
    for (size_t k = 0; k < pool.count; ++k, ++i) (*items)[row[i]].x = pool.mean() + offset[i];
  }
}

}  // namespace

GraphLayout LayOut(size_t boxes, const std::vector<GraphEdge>& all, const GraphSizes& sizes) {
  GraphLayout out;
  for (const GraphEdge& e : all) {
    if (e.from < e.to && e.to < boxes) out.edges.push_back(e);
  }
  if (boxes == 0) return out;
  const std::vector<size_t> row_of = Wrapped(RowsOf(boxes, out.edges), sizes.max_per_row);
  const size_t row_count = *std::max_element(row_of.begin(), row_of.end()) + 1;

  std::vector<Item> items;
  std::vector<std::vector<size_t>> rows(row_count);
  const auto add = [&](size_t row, bool lane, size_t box) {
    items.push_back({.row = row,
                     .lane = lane,
                     .box = box,
                     .half = (lane ? sizes.lane : sizes.box_width) / 2,
                     .x = 0,
                     .above = {},
                     .below = {}});
    rows[row].push_back(items.size() - 1);
    return items.size() - 1;
  };
  for (size_t i = 0; i < boxes; ++i) add(row_of[i], false, i);
  std::map<std::tuple<size_t, int, size_t>, size_t> lanes;  // by box, kind, row
  std::vector<std::vector<size_t>> chains;                  // items that each line passes, ends included
  for (const GraphEdge& e : out.edges) {
    std::vector<size_t> chain = {e.from};
    for (size_t row = row_of[e.from] + 1; row < row_of[e.to]; ++row) {
      const auto key = std::make_tuple(e.from, e.kind, row);
      if (lanes.count(key) == 0) lanes[key] = add(row, true, e.from);
      chain.push_back(lanes[key]);
    }
    chain.push_back(e.to);
    for (size_t i = 1; i < chain.size(); ++i) {
      items[chain[i]].above.push_back(chain[i - 1]);
      items[chain[i - 1]].below.push_back(chain[i]);
    }
    chains.push_back(std::move(chain));
  }

  for (const auto& row : rows) Place(&items, row, std::vector<Wish>(row.size()), sizes.gap_x);
  for (int sweep = 0; sweep < kSweeps; ++sweep) {  // the order, from one side at a time
    const bool down = sweep % 2 == 0;
    for (size_t k = 0; k < row_count; ++k) {
      std::vector<size_t>& row = rows[down ? k : row_count - 1 - k];
      std::vector<std::pair<Wish, size_t>> keyed;
      for (const size_t i : row) keyed.emplace_back(WishOf(items, i, down, !down), i);
      std::stable_sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) { return a.first.x < b.first.x; });
      std::vector<Wish> wanted;
      for (size_t i = 0; i < row.size(); ++i) {
        row[i] = keyed[i].second;
        wanted.push_back(keyed[i].first);
      }
      Place(&items, row, wanted, sizes.gap_x);
    }
  }
  for (int sweep = 0; sweep < kStraightenings; ++sweep) {  // the order stays; x from both sides
    for (size_t k = 0; k < row_count; ++k) {
      const std::vector<size_t>& row = rows[sweep % 2 == 0 ? k : row_count - 1 - k];
      std::vector<Wish> wanted;
      for (const size_t i : row) wanted.push_back(WishOf(items, i, true, true));
      Place(&items, row, wanted, sizes.gap_x);
    }
  }

  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const Item& item : items) {
    low = std::min(low, item.x - item.half);
    high = std::max(high, item.x + item.half);
  }
  const double pitch = sizes.box_height + sizes.gap_y;
  out.width = high - low;
  out.height = static_cast<double>(row_count) * pitch - sizes.gap_y;
  out.boxes.resize(boxes);
  for (size_t i = 0; i < boxes; ++i) {
    out.boxes[i] = {items[i].x - low - sizes.box_width / 2, static_cast<double>(items[i].row) * pitch};
  }
  for (const std::vector<size_t>& chain : chains) {
    std::vector<GraphPoint> path;
    for (size_t i = 1; i + 1 < chain.size(); ++i) {
      path.push_back({items[chain[i]].x - low, static_cast<double>(items[chain[i]].row) * pitch});
    }
    out.paths.push_back(std::move(path));
  }
  return out;
}

}  // namespace r1
