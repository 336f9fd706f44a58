# Micro-benchmarks (Google Benchmark), built with -DR1_BENCH=ON.
find_package(benchmark REQUIRED)
add_executable(kernels_bench ${CMAKE_CURRENT_SOURCE_DIR}/bench/kernels_bench.cc)
target_include_directories(kernels_bench PRIVATE src)
target_link_libraries(kernels_bench PRIVATE r1 r1_flags benchmark::benchmark Threads::Threads)
