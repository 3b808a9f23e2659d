// The npm package proxy-chain as a program: node bench/peers/proxy-chain.ts PORT
import { Server } from 'proxy-chain'

await new Server({ port: Number(process.argv[2]), host: '127.0.0.1', verbose: false }).listen()
